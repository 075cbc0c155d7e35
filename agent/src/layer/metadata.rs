//! Owners, modes, attributes and times: of files at once, of directories when
//! all is written.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, openat2};
use rustix::io::Errno;

use super::LayerError;
use super::entry::Entry;
use super::tree::{DIRECTORY_FLAGS, RESOLVE, write_error};
use crate::namespace::Privilege;

/// Directories that entries describe.
#[derive(Default)]
pub(super) struct Directories(Vec<Directory>);

struct Directory {
    path: OsString,
    /// Which it is: by the end, the path may lead elsewhere.
    identity: Identity,
    entry: Entry,
}

/// Device and inode.
type Identity = (u64, u64);

impl Directories {
    pub(super) fn add(&mut self, path: OsString, stat: &Stat, entry: &Entry) {
        self.0.push(Directory {
            path,
            identity: identity(stat),
            entry: Entry {
                path: entry.path.clone(),
                link: Vec::new(),
                xattrs: entry.xattrs.clone(),
                ..*entry
            },
        });
    }

    /// Gives each what the last entry says of it. What has been replaced since
    /// is left alone.
    pub(super) fn finish(&self, root: &OwnedFd, privilege: Privilege) -> Result<(), LayerError> {
        let mut done = HashSet::new();
        // A directory that forbids to look into it comes after what is in it.
        for directory in self.0.iter().rev() {
            if !done.insert(directory.identity) {
                continue;
            }
            match directory.set(root, privilege) {
                Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(write_error(&directory.entry, errno)),
            }
        }
        Ok(())
    }
}

impl Directory {
    fn set(&self, root: &OwnedFd, privilege: Privilege) -> Result<(), Errno> {
        let file = openat2(root, &self.path, DIRECTORY_FLAGS, Mode::empty(), RESOLVE)?;
        if identity(&rustix::fs::fstat(&file)?) != self.identity {
            return Ok(());
        }
        set(file.as_fd(), &self.entry, privilege)
    }
}

fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

/// Gives a file what its entry says of it.
pub(super) fn set(file: BorrowedFd<'_>, entry: &Entry, privilege: Privilege) -> Result<(), Errno> {
    if privilege == Privilege::Root {
        let (uid, gid) = owner(entry);
        rustix::fs::fchown(file, uid, gid)?;
    }
    // After the owner: a change of owner clears set-id bits.
    rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode))?;
    for (name, value) in &entry.xattrs {
        match rustix::fs::fsetxattr(file, name.as_str(), value, XattrFlags::empty()) {
            // Not every file system has them, and only root sets capabilities.
            Ok(()) | Err(Errno::NOTSUP | Errno::PERM) => {}
            Err(errno) => return Err(errno),
        }
    }
    rustix::fs::futimens(file, &times(entry))
}

/// The same for a symbolic link, which has no mode.
pub(super) fn set_link(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    entry: &Entry,
    privilege: Privilege,
) -> Result<(), Errno> {
    if privilege == Privilege::Root {
        let (uid, gid) = owner(entry);
        rustix::fs::chownat(parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    rustix::fs::utimensat(parent, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW)
}

fn owner(entry: &Entry) -> (Option<Uid>, Option<Gid>) {
    let id = |id: u64| u32::try_from(id).ok();
    (
        id(entry.uid).map(Uid::from_raw),
        id(entry.gid).map(Gid::from_raw),
    )
}

fn times(entry: &Entry) -> Timestamps {
    let (seconds, nanoseconds) = entry.modified;
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: i64::from(nanoseconds),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}
