//! Walks through a tree of any depth, with few open directories.
//!
//! A tree may have more levels than a process may have files open, and paths
//! longer than the kernel accepts (`PATH_MAX`). So each step starts from an
//! open directory, and only the innermost few stay open. The walk opens a
//! closed directory again as the parent of the one below it.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// The most directories that stay open at a time.
const OPEN: usize = 32;

/// A depth-first walk. It returns the entries of a directory sorted by name,
/// and leaves each directory after all entries below it.
pub(crate) struct Walk {
    levels: Vec<Level>,
}

/// A directory on the path of the walk.
struct Level {
    name: CString,
    directory: Option<OwnedFd>,
    identity: (u64, u64),
    rest: std::vec::IntoIter<Entry>,
}

/// An entry of the current directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) name: CString,
}

/// A step of the walk.
pub(crate) enum Step {
    /// An entry of the current directory. [`Walk::enter`] enters it if it is a
    /// directory.
    Entry(Entry),
    /// The walk has left a directory. It is an entry of the new current
    /// directory.
    Left(Entry),
}

impl Walk {
    /// Starts a walk in a directory. Fails for a symbolic link.
    pub(crate) fn of(root: &Path) -> io::Result<Self> {
        let mut walk = Self { levels: Vec::new() };
        let name = CString::new(root.as_os_str().as_bytes())?;
        let opened = rustix::fs::open(root, flags(), Mode::empty())?;
        walk.push(name, opened)?;
        Ok(walk)
    }

    /// The current directory; absent after the end of the walk.
    pub(crate) fn directory(&self) -> Option<BorrowedFd<'_>> {
        self.levels.last()?.directory.as_ref().map(AsFd::as_fd)
    }

    /// The number of entries of the current directory that are still to come.
    pub(crate) fn remaining(&self) -> usize {
        self.levels.last().map_or(0, |level| level.rest.len())
    }

    /// The path of an entry of the current directory.
    pub(crate) fn path(&self, entry: &Entry) -> PathBuf {
        let names = self.levels.iter().map(|level| &level.name);
        let names = names.chain([&entry.name]);
        names
            .map(|name| OsStr::from_bytes(name.as_bytes()))
            .collect()
    }

    /// The next step; absent after the walk has left the root.
    pub(crate) fn next(&mut self) -> io::Result<Option<Step>> {
        let Some(level) = self.levels.last_mut() else {
            return Ok(None);
        };
        if let Some(entry) = level.rest.next() {
            return Ok(Some(Step::Entry(entry)));
        }
        let Some(left) = self.levels.pop() else {
            return Ok(None);
        };
        let Some(above) = self.levels.last_mut() else {
            return Ok(None);
        };
        if above.directory.is_none() {
            let below = left.directory.ok_or(Errno::BADF)?;
            let opened = rustix::fs::openat(&below, c"..", flags(), Mode::empty())?;
            if identity(&rustix::fs::fstat(&opened)?) != above.identity {
                return Err(io::Error::other("a directory was moved during the walk"));
            }
            above.directory = Some(opened);
        }
        Ok(Some(Step::Left(Entry { name: left.name })))
    }

    /// Enters a directory. Returns the number of its entries.
    pub(crate) fn enter(&mut self, entry: &Entry) -> io::Result<usize> {
        let current = self.directory().ok_or(Errno::BADF)?;
        let opened = rustix::fs::openat(current, &entry.name, flags(), Mode::empty())?;
        self.push(entry.name.clone(), opened)
    }

    fn push(&mut self, name: CString, directory: OwnedFd) -> io::Result<usize> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                let name = name.to_owned();
                entries.push(Entry { name });
            }
        }
        entries.sort_unstable();
        let count = entries.len();
        if let Some(far) = self.levels.len().checked_sub(OPEN) {
            self.levels[far].directory = None;
        }
        self.levels.push(Level {
            name,
            identity: identity(&rustix::fs::fstat(&directory)?),
            directory: Some(directory),
            rest: entries.into_iter(),
        });
        Ok(count)
    }
}

impl Entry {
    /// The metadata of an entry. For a link, that of the link itself.
    pub(crate) fn stat(&self, walk: &Walk) -> io::Result<Stat> {
        let current = walk.directory().ok_or(Errno::BADF)?;
        Ok(rustix::fs::statat(
            current,
            &self.name,
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// The target of a link.
    pub(crate) fn target(&self, walk: &Walk) -> io::Result<OsString> {
        let current = walk.directory().ok_or(Errno::BADF)?;
        let target = rustix::fs::readlinkat(current, &self.name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()))
    }
}

/// Whether the metadata is that of a directory.
pub(crate) fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

#[cfg(test)]
pub(crate) mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    /// Makes a tree of `levels` levels, with a file in the innermost.
    pub(crate) fn make_deep(root: &Path, levels: usize) {
        let mut directory = rustix::fs::open(root, flags(), Mode::empty()).unwrap();
        for _ in 0..levels {
            rustix::fs::mkdirat(&directory, "level", Mode::RWXU).unwrap();
            directory = rustix::fs::openat(&directory, "level", flags(), Mode::empty()).unwrap();
        }
        let create = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&directory, "file", create, Mode::RUSR | Mode::WUSR).unwrap();
    }

    #[test]
    fn a_tree_beyond_all_limits_is_walked() {
        let root = tempfile::tempdir().unwrap();
        // More levels than descriptors, and a path with more bytes than
        // `PATH_MAX`.
        let levels = 3_000;
        make_deep(root.path(), levels);
        let mut walk = Walk::of(root.path()).unwrap();
        let (mut entered, mut left, mut files) = (0, 0, 0);
        while let Some(step) = walk.next().unwrap() {
            match step {
                Step::Entry(entry) if is_directory(&entry.stat(&walk).unwrap()) => {
                    assert_eq!(walk.enter(&entry).unwrap(), 1);
                    entered += 1;
                }
                Step::Entry(entry) => {
                    assert!(walk.path(&entry).ends_with("level/level/file"));
                    files += 1;
                }
                Step::Left(entry) => {
                    assert_eq!(entry.name.to_bytes(), b"level");
                    assert!(is_directory(&entry.stat(&walk).unwrap()));
                    left += 1;
                }
            }
        }
        assert_eq!((entered, left, files), (levels, levels, 1));
        crate::store::remove_tree(root.path()).unwrap();
    }
}
