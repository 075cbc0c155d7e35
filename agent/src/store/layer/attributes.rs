//! Decides which extended attributes of an archive a file gets.
//!
//! overlayfs and Linux keep data of their own in some attributes: an archive
//! that could write these would decide what a container sees, or more. Archives
//! of directories that a container engine has used contain them by accident, so
//! locald drops them and does not refuse the image.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::LayerError;
use super::entry::Entry;

/// The most bytes of a value, or of all names together: `XATTR_SIZE_MAX`.
const CAP: usize = 65_536;
/// The most bytes of a name: `XATTR_NAME_MAX`.
const NAME_CAP: usize = 255;
/// The most warnings of a layer.
const WARNINGS: usize = 20;
/// The attributes that mark an opaque directory of overlayfs: for root, and for
/// other users.
pub(super) const OPAQUE_ATTRIBUTES: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];
/// The prefix of overlayfs's own attributes in the `user` namespace.
const OVERLAY: &[u8] = b"user.overlay.";
const USER: &[u8] = b"user.";
const CAPABILITY: &[u8] = b"security.capability";

/// Drops the attributes that an archive must not write. Warns once for each of
/// the first `WARNINGS` names.
#[derive(Debug, Default)]
pub(super) struct Filter {
    dropped: HashSet<Vec<u8>>,
}

impl Filter {
    pub(super) fn apply(&mut self, entry: &mut Entry) {
        let dropped: Vec<_> = entry
            .xattrs
            .extract_if(.., |(name, _)| !is_kept(name))
            .collect();
        for (attribute, _) in dropped {
            if self.dropped.len() < WARNINGS && !self.dropped.contains(&attribute) {
                warn(entry, &attribute, "not for an image to set");
                self.dropped.insert(attribute);
            }
        }
    }
}

fn is_kept(name: &[u8]) -> bool {
    let is_users = name.starts_with(USER) && !name.starts_with(OVERLAY);
    (is_users || name == CAPABILITY) && name.len() <= NAME_CAP && !name.contains(&0)
}

/// Sets the attributes of a file. Skips those that the file system does not
/// support or this user may not set.
pub(super) fn set(file: BorrowedFd<'_>, entry: &Entry) -> Result<(), LayerError> {
    for (name, value) in &entry.xattrs {
        match rustix::fs::fsetxattr(file, &**name, value, XattrFlags::empty()) {
            Ok(()) => {}
            Err(errno @ (Errno::NOTSUP | Errno::PERM)) => warn(entry, name, &errno.to_string()),
            Err(Errno::NOSPC) if is_full(file) => return Err(entry.write_error(Errno::NOSPC)),
            Err(Errno::DQUOT) => return Err(entry.write_error(Errno::DQUOT)),
            Err(errno) => {
                return Err(LayerError::Attribute {
                    name: text(name).into_owned(),
                    length: value.len(),
                    path: entry.name(),
                    source: match errno {
                        Errno::NOSPC => {
                            io::Error::other("the file system has no room for one of this length")
                        }
                        errno => errno.into(),
                    },
                });
            }
        }
    }
    Ok(())
}

/// Whether the disk is full. A file system reports the same error for an
/// attribute that is too long.
fn is_full(file: BorrowedFd<'_>) -> bool {
    rustix::fs::fstatvfs(file).is_ok_and(|it| it.f_bavail == 0)
}

fn warn(entry: &Entry, name: &[u8], reason: &str) {
    let (path, attribute) = (entry.name(), text(name));
    tracing::warn!(path, %attribute, reason, "extended attribute dropped");
}

fn text(name: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(name)
}

/// Copies the attributes of a directory to another one, except the mark of an
/// opaque directory.
pub(super) fn copy(from: &Path, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut buffer = vec![0; CAP];
    let length = match rustix::fs::llistxattr(from, &mut buffer) {
        Err(Errno::NOTSUP) => 0,
        length => length?,
    };
    for name in buffer[..length].split(|byte| *byte == 0) {
        let is_opaque = OPAQUE_ATTRIBUTES.iter().any(|it| it.as_bytes() == name);
        if name.is_empty() || is_opaque {
            continue;
        }
        let mut value = vec![0; CAP];
        let length = rustix::fs::lgetxattr(from, name, &mut value)?;
        match rustix::fs::fsetxattr(to, name, &value[..length], XattrFlags::empty()) {
            Ok(()) | Err(Errno::NOTSUP | Errno::PERM) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
