//! Writes and removes small state files, each in one step, and opens lock
//! files.

use std::fs::File;
use std::io;
use std::path::Path;

use serde::Serialize;

/// Replaces a file with a value as JSON. Only its owner can read it.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&mut file, value)?;
    file.persist(path)?;
    Ok(())
}

/// Removes a file. A missing file is not an error.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Opens a lock file that only its owner can open: every user with access to it
/// could hold the lock.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = fs_err::OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    Ok(options.open(path)?.into_parts().0)
}
