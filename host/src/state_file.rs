//! Small files in which locald remembers something: replaced in one step, and
//! removed whether or not they are there.

use std::io;
use std::path::Path;

use serde::Serialize;

/// Replaces a file by a value as JSON. Only its owner can read it.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&mut file, value)?;
    file.persist(path)?;
    Ok(())
}

/// Removes a file that may not be there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
