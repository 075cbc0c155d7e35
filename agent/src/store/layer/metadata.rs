//! Sets owners, modes and times: of a file when it is written, of a directory
//! after all entries are written.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid, openat2};
use rustix::io::Errno;

use super::entry::Entry;
use super::paths::{DIRECTORY_FLAGS, RESOLVE};
use super::{LayerError, attributes};
use crate::kernel::namespace::Privilege;

/// Directories of a layer.
#[derive(Default)]
pub(super) struct Directories {
    /// Directories that have an entry.
    described: Vec<Directory>,
    /// Directories that have no entry and contain entries.
    implied: Vec<(OsString, Identity)>,
}

struct Directory {
    path: OsString,
    /// Identifies the directory. At the end, its path may lead to another one.
    identity: Identity,
    entry: Entry,
}

/// Device and inode.
type Identity = (u64, u64);

impl Directories {
    pub(super) fn add(&mut self, path: OsString, stat: &Stat, entry: &Entry) {
        self.described.push(Directory {
            path,
            identity: identity(stat),
            entry: entry.clone(),
        });
    }

    pub(super) fn add_implied(&mut self, path: OsString, stat: &Stat) {
        self.implied.push((path, identity(stat)));
    }

    /// Paths of the directories that no entry describes.
    pub(super) fn implied(&self, root: &OwnedFd) -> Vec<PathBuf> {
        let described = self.described.iter().map(|it| it.identity);
        let described: HashSet<Identity> = described.collect();
        let implied = self.implied.iter().filter(|it| !described.contains(&it.1));
        implied
            .filter_map(|(path, identity)| {
                let directory = open(root, path, *identity).ok()??;
                path_of(&directory, root).ok()?
            })
            .collect()
    }

    /// Sets the metadata of each directory from its last entry. Skips a
    /// directory that a later entry has replaced.
    pub(super) fn finish(&self, root: &OwnedFd, privilege: Privilege) -> Result<(), LayerError> {
        let mut done = HashSet::new();
        // Contents first: the mode of a directory may forbid to enter it.
        for directory in self.described.iter().rev() {
            if !done.insert(directory.identity) {
                continue;
            }
            let entry = &directory.entry;
            match open(root, &directory.path, directory.identity) {
                Ok(Some(opened)) => set(opened.as_fd(), entry, privilege)?,
                Ok(None) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(entry.write_error(errno)),
            }
        }
        Ok(())
    }
}

/// Opens a directory of the layer; absent if the path leads to another one.
fn open(root: &OwnedFd, path: &OsStr, expected: Identity) -> Result<Option<OwnedFd>, Errno> {
    let directory = openat2(root, path, DIRECTORY_FLAGS, Mode::empty(), RESOLVE)?;
    let is_same = identity(&rustix::fs::fstat(&directory)?) == expected;
    Ok(is_same.then_some(directory))
}

/// The path of a directory relative to the root, without links.
fn path_of(directory: &OwnedFd, root: &OwnedFd) -> io::Result<Option<PathBuf>> {
    let path = |of: &OwnedFd| fs_err::read_link(format!("/proc/self/fd/{}", of.as_raw_fd()));
    let (path, root) = (path(directory)?, path(root)?);
    Ok(path.strip_prefix(root).ok().map(Path::to_owned))
}

fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

/// Sets the metadata of a file from its entry. Reads the current values first:
/// most files already have the right ones, and reading is cheaper.
pub(super) fn set(
    file: BorrowedFd<'_>,
    entry: &Entry,
    privilege: Privilege,
) -> Result<(), LayerError> {
    let failed = |errno| entry.write_error(errno);
    let now = rustix::fs::fstat(file).map_err(failed)?;
    let is_owned = (now.st_uid, now.st_gid) == (entry.uid, entry.gid);
    let change_owner = privilege == Privilege::Root && !is_owned;
    if change_owner {
        let (uid, gid) = owner(entry);
        rustix::fs::fchown(file, uid, gid).map_err(failed)?;
    }
    let mode = Mode::from_raw_mode(entry.mode);
    // A change of owner clears the set-id bits.
    if change_owner || Mode::from_raw_mode(now.st_mode) != mode {
        rustix::fs::fchmod(file, mode).map_err(failed)?;
    }
    attributes::set(file, entry)?;
    rustix::fs::futimens(file, &times(entry)).map_err(failed)
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

/// Copies the metadata of a directory to another one, except the mark of an
/// opaque directory.
pub(super) fn copy(from: &Path, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let stat = rustix::fs::lstat(from)?;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::fchown(to, Some(uid), Some(gid))?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode))?;
    attributes::copy(from, to)?;
    let time = |seconds, nanoseconds| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or_default(),
    };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    };
    rustix::fs::futimens(to, &times)
}

fn owner(entry: &Entry) -> (Option<Uid>, Option<Gid>) {
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    (Some(uid), Some(gid))
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
