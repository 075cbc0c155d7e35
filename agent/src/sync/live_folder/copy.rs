//! Changes the copy of a folder on the agent's side. Programs in the shell
//! change it at the same time, so this module follows no link, and renames
//! every new file into its place.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use protocol::source::Entry;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::scan::{self, Found};
use crate::images::digest::Digest;
use crate::store::{StoreError, remove_tree};
use crate::sync::source::{SourceError, TreeDir};

/// The name of a file in transfer, until it is placed.
const ARRIVING: &[u8] = b"new";
/// Bytes to read at a time.
pub(super) const BUFFER: usize = 256 * 1024;

/// The copy of a folder on the agent's side.
pub(super) struct Copy {
    root: PathBuf,
    tree: TreeDir,
    arriving_root: PathBuf,
    /// A directory outside the tree, so that no program of the shell sees it.
    arriving: TreeDir,
}

impl Copy {
    /// Opens the copy in a directory. If there is no agreed state for it,
    /// removes the old copy first.
    pub(super) fn open(directory: &Path, is_known: bool) -> Result<Self, SourceError> {
        let root = directory.join("tree");
        let arriving = directory.join("arriving");
        let removed = |error: StoreError| failed(b".", Errno::IO, Some(io::Error::other(error)));
        if !is_known {
            remove_tree(&root).map_err(removed)?;
        }
        remove_tree(&arriving).map_err(removed)?;
        for path in [&root, &arriving] {
            fs_err::create_dir_all(path).map_err(|error| failed(b".", Errno::IO, Some(error)))?;
        }
        Ok(Self {
            tree: TreeDir::open(&root)?,
            arriving: TreeDir::open(&arriving)?,
            arriving_root: arriving,
            root,
        })
    }

    /// The path of the copy.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Drops open directories, because programs may have moved them.
    pub(super) fn refresh(&self) {
        self.tree.refresh();
    }

    /// The directory for a file in transfer; see `entry`.
    pub(super) fn arriving(&self) -> &TreeDir {
        &self.arriving
    }

    /// The entry for a file in transfer.
    pub(super) fn entry(kind: protocol::source::EntryKind) -> Entry {
        Entry {
            path: ARRIVING.to_vec(),
            kind,
        }
    }

    /// The entry at a path; absent if there is none.
    pub(super) fn look(&self, path: &[u8]) -> Option<Found> {
        scan::look(&self.root.join(OsStr::from_bytes(path)))
            .ok()
            .flatten()
    }

    /// Opens a regular file. Fails for any other entry.
    pub(super) fn read(&self, path: &[u8]) -> io::Result<File> {
        self.tree.read(path)
    }

    /// Computes the digest of a file.
    pub(super) fn digest(&self, path: &[u8]) -> io::Result<Digest> {
        Digest::of_all(self.read(path)?)
    }

    /// Renames the received file to its path.
    pub(super) fn place(&self, path: &[u8]) -> Result<(), Errno> {
        let from = self.arriving_root.join(OsStr::from_bytes(ARRIVING));
        self.tree.at(path, |parent, name| {
            rustix::fs::renameat(CWD, &from, parent, name)
        })
    }

    /// Makes a symbolic link at a path.
    pub(super) fn link(&self, path: &[u8], target: &[u8]) -> Result<(), Errno> {
        self.arriving
            .symlink(ARRIVING, target)
            .map_err(|_| Errno::IO)?;
        self.place(path)
    }

    /// Makes a directory, or sets the mode of an existing one.
    pub(super) fn directory(&self, path: &[u8], mode: u16) -> Result<(), Errno> {
        self.tree.put_directory(path, mode)
    }

    /// Removes a path. Fails for a directory that is not empty.
    pub(super) fn remove(&self, path: &[u8]) -> Result<(), Errno> {
        self.tree.unlink(path)
    }

    /// Renames an entry within its directory. Returns the new path.
    pub(super) fn put_aside(
        &self,
        path: &[u8],
        is_taken: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<u8>, Errno> {
        self.tree.refresh();
        for number in 1.. {
            let aside = [path, format!(".conflict-machine-{number}").as_bytes()].concat();
            if is_taken(&aside) {
                continue;
            }
            let name = aside.rsplit(|byte| *byte == b'/').next();
            let name = OsStr::from_bytes(name.unwrap_or_default());
            let renamed = self.tree.at(path, |parent, old| {
                rustix::fs::renameat_with(parent, old, parent, name, RenameFlags::NOREPLACE)
            });
            match renamed {
                Ok(()) => return Ok(aside),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::EXIST)
    }
}

/// The error for a failed write to a path of the copy.
pub(super) fn failed(path: &[u8], errno: Errno, source: Option<io::Error>) -> SourceError {
    SourceError::Write {
        path: String::from_utf8_lossy(path).into_owned(),
        source: source.unwrap_or_else(|| errno.into()),
    }
}
