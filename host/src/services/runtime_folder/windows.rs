//! The folder is below the user's own, and private as that is.

use std::io;
use std::path::Path;

pub(super) fn create(path: &Path) -> io::Result<()> {
    fs_err::create_dir_all(path)
}
