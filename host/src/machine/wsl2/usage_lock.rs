//! The lock of the distribution's users. Each command holds it, shared, while
//! its agent runs. A command that ends the distribution waits for the lock; a
//! killed command does not hold it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use super::WslError;
use crate::platform::state_file;

/// A lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct UsageLock {
    _file: File,
}

impl UsageLock {
    /// Takes the lock, shared. Waits while another command holds it
    /// [`alone`](Self::alone).
    pub(super) async fn share(folder: &Path) -> Result<Self, WslError> {
        let file = open(folder)?;
        blocking(move || file.lock_shared().map(|()| file)).await
    }

    /// Takes the lock, exclusively. Calls `waiting` if another command holds
    /// it.
    pub(super) async fn alone(folder: &Path, waiting: impl FnOnce()) -> Result<Self, WslError> {
        let file = open(folder)?;
        match file.try_lock() {
            Ok(()) => return Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => waiting(),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        blocking(move || file.lock().map(|()| file)).await
    }

    /// Whether another command holds the lock.
    pub(super) fn is_shared(folder: &Path) -> Result<bool, WslError> {
        match open(folder)?.try_lock() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

fn open(folder: &Path) -> Result<File, WslError> {
    fs_err::create_dir_all(folder).map_err(failed)?;
    state_file::open_lock(&folder.join("in-use.lock")).map_err(failed)
}

async fn blocking(
    lock: impl FnOnce() -> io::Result<File> + Send + 'static,
) -> Result<UsageLock, WslError> {
    let locked = tokio::task::spawn_blocking(lock).await;
    let file = locked.unwrap_or_else(|error| Err(error.into()));
    file.map(|file| UsageLock { _file: file }).map_err(failed)
}

fn failed(source: io::Error) -> WslError {
    WslError::io("lock the machine's folder")(source)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[tokio::test]
    async fn the_last_one_lets_the_next_one_in() {
        let folder = tempfile::tempdir().unwrap();
        let one = UsageLock::share(folder.path()).await.unwrap();
        let other = UsageLock::share(folder.path()).await.unwrap();
        assert!(UsageLock::is_shared(folder.path()).unwrap());
        drop(one);
        assert!(UsageLock::is_shared(folder.path()).unwrap());
        let mut waited = false;
        let alone = UsageLock::alone(folder.path(), || {
            waited = true;
            drop(other);
        });
        drop(alone.await.unwrap());
        assert!(waited);
        assert!(!UsageLock::is_shared(folder.path()).unwrap());
    }
}
