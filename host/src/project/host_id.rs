//! The random number that identifies this host at an agent. Two hosts may have
//! different projects at the same path.

use std::io;
use std::path::Path;

/// The length of the number, in bytes.
const LENGTH: usize = 16;

/// Reads the number. Makes the file at the first use.
pub(crate) fn of(file: &Path) -> io::Result<String> {
    match fs_err::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(file),
        read => read,
    }
}

fn make(file: &Path) -> io::Result<String> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes)?;
    let id = format!("{:032x}", u128::from_ne_bytes(bytes));
    let folder = file.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(folder)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    io::Write::write_all(&mut new, id.as_bytes())?;
    match new.persist_noclobber(file) {
        Ok(_) => Ok(id),
        // Another process has made the file meanwhile.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            fs_err::read_to_string(file)
        }
        Err(error) => Err(error.error),
    }
}
