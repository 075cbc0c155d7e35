//! Whether other shells of this host keep a folder in step. The agent knows, too,
//! but hears late of one that was killed, and then what it has is old.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use protocol::{Failure, FailureKind};

use crate::state_file;

/// One of the shells that show a folder, as long as it is not dropped, or its
/// process killed.
#[derive(Debug)]
pub(crate) struct Company {
    path: PathBuf,
    /// Absent only while others are looked for, or when that has failed.
    lock: Option<File>,
}

impl Company {
    /// Joins the shells of a project, by the digits of its identity.
    pub(crate) fn join(folders: &Path, id: &str) -> Result<Self, Failure> {
        let path = folders.join(format!("{id}.lock"));
        let shared = fs_err::create_dir_all(folders).and_then(|()| share(&path));
        let lock = shared.map(Some).map_err(|error| failed(&error))?;
        Ok(Self { path, lock })
    }

    /// Whether there are others now. Whoever asks is not seen meanwhile.
    pub(super) fn has_others(&mut self) -> Result<bool, Failure> {
        // Not every system lets a lock become another one: this one goes first.
        drop(self.lock.take());
        let mut ask = || {
            let others = match state_file::open_lock(&self.path)?.try_lock() {
                Ok(()) => false,
                Err(TryLockError::WouldBlock) => true,
                Err(TryLockError::Error(error)) => return Err(error),
            };
            self.lock = Some(share(&self.path)?);
            Ok(others)
        };
        ask().map_err(|error| failed(&error))
    }
}

fn share(path: &Path) -> io::Result<File> {
    let file = state_file::open_lock(path)?;
    file.lock_shared()?;
    Ok(file)
}

fn failed(error: &io::Error) -> Failure {
    Failure::from_error(FailureKind::Store, error)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn others_are_known_while_they_are_there() {
        let folders = tempfile::tempdir().unwrap();
        let join = |id| Company::join(&folders.path().join("folders"), id).unwrap();
        let (mut one, mut elsewhere) = (join("1"), join("2"));
        assert!(!one.has_others().unwrap());
        let mut other = join("1");
        assert!(one.has_others().unwrap() && other.has_others().unwrap());
        drop(one);
        assert!(!other.has_others().unwrap() && !elsewhere.has_others().unwrap());
    }
}
