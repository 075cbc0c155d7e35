//! The folder of a running `locald up`, one for each project.
//!
//! ```text
//! lock           locked while it runs; only the lock says whether it does
//! services.json  the states of the services
//! log.jsonl      the output of the services; log.1.jsonl has the earlier part
//! control        the control socket
//! ```

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use protocol::{Failure, FailureKind};

use crate::platform::state_file;
use crate::report::Statuses;

#[cfg(unix)]
mod imp {
    //! On Unix, the folder's mode makes it private.

    use std::io;
    use std::os::unix::fs::DirBuilderExt as _;
    use std::path::Path;

    pub(super) fn create(path: &Path) -> io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path)
    }
}
#[cfg(not(unix))]
mod imp {
    //! On Windows, the folder inherits the access rules of the user's folder.

    use std::io;
    use std::path::Path;

    pub(super) fn create(path: &Path) -> io::Result<()> {
        fs_err::create_dir_all(path)
    }
}

/// The path of the folder.
#[derive(Debug, Clone)]
pub(crate) struct RuntimeFolder {
    path: PathBuf,
}

/// The lock of a running `locald up`. Dropping this releases it.
#[derive(Debug)]
pub(crate) struct RuntimeLock {
    _file: File,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuntimeFolderError {
    /// Another process holds the lock.
    #[error("`locald up` runs already for this project")]
    Runs,
    /// No process holds the lock.
    #[error("`locald up` does not run for this project")]
    Absent,
    /// An operation on a file failed.
    #[error("cannot use {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl From<RuntimeFolderError> for Failure {
    fn from(error: RuntimeFolderError) -> Self {
        match &error {
            RuntimeFolderError::Runs => Self::from_error(FailureKind::Invalid, &error).with_hint(
                "`locald ps` shows its services, `locald stop` ends it, `locald logs -f` follows it",
            ),
            RuntimeFolderError::Absent => Self::from_error(FailureKind::NotFound, &error)
                .with_hint("`locald up` starts the services, `--project FOLDER` names another project"),
            RuntimeFolderError::File { .. } => Self::from_error(FailureKind::Store, &error),
        }
    }
}

impl RuntimeFolder {
    /// Returns the folder of a project, by the digits of its identity.
    pub(crate) fn of(services: &Path, id: &str) -> Self {
        // The path is short, because it becomes the path of a socket.
        Self {
            path: services.join(id.get(..16).unwrap_or(id)),
        }
    }

    /// Returns the path of the control socket.
    pub(crate) fn control(&self) -> PathBuf {
        self.path.join("control")
    }

    /// Returns the path of the journal.
    pub(crate) fn journal(&self) -> PathBuf {
        self.path.join("log.jsonl")
    }

    /// Creates the folder, private to its user, and takes the lock.
    pub(crate) fn lock(&self) -> Result<RuntimeLock, RuntimeFolderError> {
        imp::create(&self.path).map_err(self.failed())?;
        let file = self.open_lock().map_err(self.failed())?;
        match file.try_lock() {
            Ok(()) => Ok(RuntimeLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(RuntimeFolderError::Runs),
            Err(TryLockError::Error(source)) => Err(self.failed()(source)),
        }
    }

    /// Whether a process holds the lock.
    pub(crate) fn is_locked(&self) -> Result<bool, RuntimeFolderError> {
        let file = match self.open_lock() {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(self.failed()(source)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(source)) => Err(self.failed()(source)),
        }
    }

    /// Returns the states of the services of a running `locald up`.
    pub(crate) fn statuses(&self) -> Result<Statuses, RuntimeFolderError> {
        if !self.is_locked()? {
            return Err(RuntimeFolderError::Absent);
        }
        self.last_statuses()
    }

    /// Returns the last known states, also after `locald up` has ended.
    pub(crate) fn last_statuses(&self) -> Result<Statuses, RuntimeFolderError> {
        let read = fs_err::read(self.file());
        // A `locald up` that has just started has written no states yet.
        let bytes = match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Statuses::new()),
            read => read.map_err(self.failed())?,
        };
        serde_json::from_slice(&bytes).map_err(|error| self.failed()(error.into()))
    }

    /// Writes the states of the services, in one step.
    pub(crate) fn write(&self, statuses: &Statuses) -> Result<(), RuntimeFolderError> {
        state_file::write(&self.file(), statuses).map_err(self.failed())
    }

    /// Removes the states of an earlier `locald up`.
    pub(crate) fn forget(&self) -> Result<(), RuntimeFolderError> {
        state_file::remove(&self.file()).map_err(self.failed())
    }

    fn file(&self) -> PathBuf {
        self.path.join("services.json")
    }

    fn open_lock(&self) -> io::Result<File> {
        state_file::open_lock(&self.path.join("lock"))
    }

    fn failed(&self) -> impl Fn(io::Error) -> RuntimeFolderError {
        move |source| RuntimeFolderError::File {
            path: self.path.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn only_the_lock_tells_whether_it_runs() {
        let home = tempfile::tempdir().unwrap();
        let folder = RuntimeFolder::of(home.path(), &"0123456789abcdef".repeat(4));
        assert!(matches!(folder.statuses(), Err(RuntimeFolderError::Absent)));
        let lock = folder.lock().unwrap();
        assert!(matches!(folder.lock(), Err(RuntimeFolderError::Runs)));
        assert_eq!(folder.statuses().unwrap(), Statuses::new());
        let status_table = super::super::StatusTable::new([("web", Some(80))].into_iter());
        let statuses = status_table.look().borrow().clone();
        folder.write(&statuses).unwrap();
        assert_eq!(folder.statuses().unwrap(), statuses);
        drop(lock);
        // The states that a killed process left do not count.
        assert!(matches!(folder.statuses(), Err(RuntimeFolderError::Absent)));
        folder.lock().unwrap();
    }
}
