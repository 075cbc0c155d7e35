//! Cargo's target directory, in which a shell's Cargo may work at the same
//! time: Cargo's own locks decide who does.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::output;

/// Cargo holds it while it builds in a directory such as `target/release`.
const LOCK: &str = ".cargo-lock";

/// A directory of artefacts in which no Cargo works while this exists.
#[derive(Debug)]
pub(crate) struct Locked {
    _file: File,
}

impl Locked {
    /// Waits until no other Cargo works there.
    pub(crate) fn wait(root: &Path) -> io::Result<Self> {
        let file = open(root)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                output::detail("waiting for another Cargo in the cache, of a shell");
                file.lock()?;
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(Self { _file: file })
    }

    /// Absent when another Cargo works there.
    pub(crate) fn try_now(root: &Path) -> Option<Self> {
        let file = open(root).ok()?;
        file.try_lock().ok()?;
        Some(Self { _file: file })
    }
}

fn open(root: &Path) -> io::Result<File> {
    let file = fs_err::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(root.join(LOCK))?;
    Ok(file.into_file())
}

/// Directories of artefacts: those of the profiles, also of other targets.
pub(crate) fn roots(target: &Path) -> Vec<PathBuf> {
    let mut roots = Vec::new();
    for path in list(target) {
        if path.join(".fingerprint").is_dir() {
            roots.push(path);
        } else {
            let inner = list(&path).into_iter();
            roots.extend(inner.filter(|path| path.join(".fingerprint").is_dir()));
        }
    }
    roots.sort_unstable();
    roots
}

/// What is in a directory; nothing when it cannot be read.
pub(crate) fn entries(directory: &Path) -> Vec<std::fs::DirEntry> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries.flatten().collect()
}

/// The paths of that.
pub(crate) fn list(directory: &Path) -> Vec<PathBuf> {
    let entries = entries(directory).into_iter();
    entries.map(|entry| entry.path()).collect()
}
