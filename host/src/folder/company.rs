//! Whether other shells of this host keep a folder in step. The agent knows, too,
//! but hears late of one that was killed, and then what it has is old.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use protocol::{Failure, FailureKind};

/// One of the shells that show a folder, as long as it is not dropped, or its
/// process killed.
#[derive(Debug)]
pub(crate) struct Company {
    file: File,
}

impl Company {
    /// Joins the shells of a project, by the digits of its identity.
    pub(crate) fn join(folders: &Path, id: &str) -> Result<Self, Failure> {
        let joined = open(folders, id).and_then(|file| file.lock_shared().map(|()| file));
        joined
            .map(|file| Self { file })
            .map_err(|error| failed(&error))
    }

    /// Whether there are others now. Whoever asks is not seen meanwhile.
    pub(super) fn has_others(&self) -> Result<bool, Failure> {
        let ask = || {
            // Not every system lets a lock become another one.
            self.file.unlock()?;
            let others = match self.file.try_lock() {
                Ok(()) => {
                    self.file.unlock()?;
                    false
                }
                Err(TryLockError::WouldBlock) => true,
                Err(TryLockError::Error(error)) => return Err(error),
            };
            self.file.lock_shared()?;
            Ok(others)
        };
        ask().map_err(|error| failed(&error))
    }
}

fn open(folders: &Path, id: &str) -> io::Result<File> {
    fs_err::create_dir_all(folders)?;
    let mut options = fs_err::OpenOptions::new();
    let options = options.create(true).truncate(false).read(true).write(true);
    let file = options.open(folders.join(format!("{id}.lock")))?;
    Ok(file.into_parts().0)
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
        let (one, elsewhere) = (join("1"), join("2"));
        assert!(!one.has_others().unwrap());
        let other = join("1");
        assert!(one.has_others().unwrap() && other.has_others().unwrap());
        drop(one);
        assert!(!other.has_others().unwrap() && !elsewhere.has_others().unwrap());
    }
}
