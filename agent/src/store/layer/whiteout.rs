//! Converts whiteouts, which hide files of lower layers, to those of overlayfs:
//! OCI image specification, "Whiteouts".

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, ResolveFlags, XattrFlags};
use rustix::fs::{mknodat, openat, openat2, unlinkat};
use rustix::io::Errno;

use super::LayerError;
use super::attributes::OPAQUE_ATTRIBUTES;
use super::entry::Entry;
use super::paths::{DIRECTORY_FLAGS, RESOLVE, WHITEOUT_PREFIX};
use super::tree::Tree;
use crate::kernel::namespace::Privilege;

const OPAQUE: &[u8] = b".wh..wh..opq";

impl Tree {
    /// Converts a whiteout of the OCI layer format to one of overlayfs.
    pub(super) fn whiteout(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        parent_path: &OsStr,
        entry: &Entry,
    ) -> Result<(), LayerError> {
        let failed = |errno| entry.write_error(errno);
        if name == OPAQUE {
            return self.make_opaque(parent).map_err(failed);
        }
        let hidden = &name[WHITEOUT_PREFIX.len()..];
        if hidden.starts_with(WHITEOUT_PREFIX) {
            // Metadata of aufs, which no longer exists.
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(entry.refuse("it is a whiteout without a name"));
        }
        let hidden = OsStr::from_bytes(hidden);
        match mknodat(parent, hidden, FileType::CharacterDevice, Mode::empty(), 0) {
            Ok(()) => {
                let place = (parent_path.to_owned(), hidden.to_owned());
                self.whiteouts.push(place);
                Ok(())
            }
            // The layer also holds the name that it whites out.
            Err(Errno::EXIST) => match openat(parent, hidden, DIRECTORY_FLAGS, Mode::empty()) {
                Ok(directory) => self.make_opaque(directory.as_fd()).map_err(failed),
                Err(_) => Ok(()),
            },
            Err(errno) => Err(failed(errno)),
        }
    }

    /// Makes a directory opaque: it hides the entries of the layers below.
    pub(super) fn make_opaque(&self, directory: BorrowedFd<'_>) -> Result<(), Errno> {
        let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
        rustix::fs::setxattr(path, self.attribute(), b"y", XattrFlags::empty())
    }

    /// The name of the attribute that makes a directory opaque.
    fn attribute(&self) -> &'static str {
        match self.privilege {
            Privilege::Root => OPAQUE_ATTRIBUTES[0],
            Privilege::Rootless => OPAQUE_ATTRIBUTES[1],
        }
    }

    /// Removes whiteouts in and below opaque directories, where they hide
    /// nothing. overlayfs would list their names in such a directory, although
    /// no file has them.
    pub(super) fn sweep_whiteouts(&self) {
        let mut known = HashMap::new();
        for (parent, hidden) in &self.whiteouts {
            let is_covered = Path::new(parent).ancestors().any(|directory| {
                let found = known.entry(directory);
                *found.or_insert_with(|| self.is_opaque(directory))
            });
            let resolve = RESOLVE | ResolveFlags::NO_SYMLINKS;
            if is_covered
                && let Ok(parent) = openat2(
                    &self.root,
                    in_root(parent),
                    DIRECTORY_FLAGS,
                    Mode::empty(),
                    resolve,
                )
                && is_whiteout(parent.as_fd(), hidden)
            {
                // A whiteout that stays is harmless.
                let _ = unlinkat(&parent, hidden, AtFlags::empty());
            }
        }
    }

    /// Whether a directory is opaque. Does not follow links.
    fn is_opaque(&self, directory: &Path) -> bool {
        let resolve = RESOLVE | ResolveFlags::NO_SYMLINKS;
        let path = in_root(directory.as_os_str());
        let opened = openat2(&self.root, path, DIRECTORY_FLAGS, Mode::empty(), resolve);
        let read = |directory| {
            let mut value = [0; 8];
            rustix::fs::fgetxattr(directory, self.attribute(), &mut value)
        };
        opened.and_then(read).is_ok()
    }
}

/// Whether a directory of an extracted layer is opaque.
pub(super) fn is_opaque(directory: &Path) -> bool {
    let has = |name: &&str| rustix::fs::lgetxattr(directory, *name, &mut [0_u8; 8]).is_ok();
    OPAQUE_ATTRIBUTES.iter().any(has)
}

/// Makes a directory opaque if another one is.
pub(super) fn copy_opaque(from: &Path, to: BorrowedFd<'_>) -> Result<(), Errno> {
    for name in OPAQUE_ATTRIBUTES {
        if rustix::fs::lgetxattr(from, name, &mut [0_u8; 8]).is_ok() {
            rustix::fs::fsetxattr(to, name, b"y", XattrFlags::empty())?;
        }
    }
    Ok(())
}

/// The path of a directory of the layer; the root has none.
fn in_root(path: &OsStr) -> &OsStr {
    if path.is_empty() {
        OsStr::new(".")
    } else {
        path
    }
}

/// Whether a whiteout is still there. A later entry may have replaced it.
fn is_whiteout(parent: BorrowedFd<'_>, name: &OsString) -> bool {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| {
        let kind = FileType::from_raw_mode(stat.st_mode);
        kind == FileType::CharacterDevice && stat.st_rdev == 0
    })
}
