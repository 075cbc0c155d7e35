//! The folder is private by its mode.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

pub(super) fn create(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path)
}
