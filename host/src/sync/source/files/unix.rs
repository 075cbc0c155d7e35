//! Unix: paths and link targets are bytes, and files have modes.

use std::ffi::OsStr;
use std::fs::{Metadata, Permissions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::sync::source::SourceError;

/// Whether patterns of ignore files ignore case.
pub(in crate::sync::source) const IGNORES_CASE: bool = false;

/// Returns the path below the root as the protocol encodes it.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the same signature on each system"
)]
pub(in crate::sync::source) fn name(relative: &Path) -> Result<Vec<u8>, SourceError> {
    Ok(relative.as_os_str().as_bytes().to_vec())
}

/// Returns the path of a [`name`].
pub(crate) fn path(name: &[u8]) -> PathBuf {
    OsStr::from_bytes(name).into()
}

/// Returns a link's target as the protocol encodes it, without changes.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the same signature on each system"
)]
pub(in crate::sync::source) fn target(
    _root: &Path,
    _link: &Path,
    target: &Path,
) -> Result<Vec<u8>, SourceError> {
    Ok(target.as_os_str().as_bytes().to_vec())
}

/// Returns the permission bits.
pub(in crate::sync::source) fn mode(metadata: &Metadata) -> u16 {
    u16::try_from(metadata.permissions().mode() & 0o777).unwrap_or_default()
}

/// Returns a stamp that changes whenever the content may have changed. It
/// includes the change time: only the kernel sets it, so it changes even if a
/// program restores the modification time.
pub(in crate::sync::source) fn stamp(metadata: &Metadata) -> u64 {
    let mut hasher = DefaultHasher::new();
    let identity = (metadata.dev(), metadata.ino(), metadata.size());
    let times = (
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    );
    (identity, times).hash(&mut hasher);
    hasher.finish() | 1
}

/// Returns why this system cannot have a name.
pub(crate) fn refusal(_name: &[u8]) -> Option<String> {
    None
}

/// Sets the permission bits of a file or directory.
pub(crate) fn set_mode(path: &Path, mode: u16) -> io::Result<()> {
    let permissions = Permissions::from_mode(u32::from(mode & 0o777));
    fs_err::set_permissions(path, permissions)
}

/// Makes a symbolic link.
pub(crate) fn link(target: &[u8], at: &Path) -> io::Result<()> {
    fs_err::os::unix::fs::symlink(OsStr::from_bytes(target), at)
}
