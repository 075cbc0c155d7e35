//! The lock of the shell on this host that keeps a folder in step. The agent
//! knows the shell, too. It learns of the shell's death later than the lock
//! does.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use protocol::{Failure, FailureKind};

use crate::platform::state_file;

/// The lock. Dropping it, or the death of its process, releases it.
#[derive(Debug)]
pub(crate) struct SyncLock {
    path: PathBuf,
    /// Present if this shell has the lock.
    lock: Option<File>,
}

impl SyncLock {
    /// Returns the lock of a project, by the digits of its identity. Does not
    /// take it.
    pub(crate) fn of(folders: &Path, id: &str) -> Result<Self, Failure> {
        fs_err::create_dir_all(folders).map_err(|error| failed(&error))?;
        Ok(Self {
            path: folders.join(format!("{id}.lock")),
            lock: None,
        })
    }

    pub(super) const fn is_here(&self) -> bool {
        self.lock.is_some()
    }

    /// Takes the lock if it is free. Returns whether this shell has it.
    pub(super) fn take(&mut self) -> Result<bool, Failure> {
        if self.lock.is_none() {
            self.lock = try_lock(&self.path).map_err(|error| failed(&error))?;
        }
        Ok(self.is_here())
    }
}

fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = state_file::open_lock(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn failed(error: &io::Error) -> Failure {
    Failure::from_error(FailureKind::Store, error)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn one_shell_has_the_place_until_it_ends() {
        let folders = tempfile::tempdir().unwrap();
        let of = |id| SyncLock::of(&folders.path().join("folders"), id).unwrap();
        let (mut one, mut other, mut elsewhere) = (of("1"), of("1"), of("2"));
        assert!(one.take().unwrap() && one.take().unwrap() && elsewhere.take().unwrap());
        assert!(!other.take().unwrap() && !other.is_here());
        drop(one);
        assert!(other.take().unwrap());
        assert!(!of("1").take().unwrap());
    }
}
