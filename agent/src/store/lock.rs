//! Takes advisory locks on files (`flock`). The kernel releases a lock when its
//! holder ends.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::{StoreError, remove_file};

/// The interval between attempts to take a lock that another process holds.
/// `flock` has no asynchronous form, and a thread that blocks in it could not
/// be cancelled.
const POLL: Duration = Duration::from_millis(50);

/// A held lock. Dropping it releases the lock.
#[derive(Debug)]
pub struct Lock {
    _file: OwnedFd,
}

impl Lock {
    /// Takes an exclusive lock. Blocks the thread until the lock is free.
    pub fn exclusive(path: &Path) -> Result<Self, StoreError> {
        Self::take(path, FlockOperation::LockExclusive)
    }

    /// Takes a shared lock. Blocks the thread while an exclusive lock is held.
    pub fn shared(path: &Path) -> Result<Self, StoreError> {
        Self::take(path, FlockOperation::LockShared)
    }

    /// Takes a shared lock, on a thread that may block.
    pub async fn shared_in_background(path: PathBuf) -> Result<Self, StoreError> {
        let name = path.clone();
        match tokio::task::spawn_blocking(move || Self::shared(&path)).await {
            Ok(lock) => lock,
            Err(error) => Err(StoreError::io("lock", &name, error.into())),
        }
    }

    /// Takes an exclusive lock; absent if any lock is held.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>, StoreError> {
        Self::attempt(path, FlockOperation::NonBlockingLockExclusive)
    }

    /// Takes a shared lock; absent if an exclusive lock is held.
    pub(super) fn try_shared(path: &Path) -> Result<Option<Self>, StoreError> {
        Self::attempt(path, FlockOperation::NonBlockingLockShared)
    }

    /// Releases an exclusive lock and removes its file.
    pub(super) fn remove(self, path: &Path) -> Result<(), StoreError> {
        let removed = remove_file(path);
        drop(self);
        removed.map_err(|source| StoreError::io("remove", path, source))
    }

    /// Takes an exclusive lock. Calls `on_wait` once if it has to wait.
    pub async fn wait_exclusive<E: From<StoreError>>(
        path: &Path,
        on_wait: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<Self, E> {
        if let Some(lock) = Self::try_exclusive(path)? {
            return Ok(lock);
        }
        on_wait().await?;
        loop {
            tokio::time::sleep(POLL).await;
            if let Some(lock) = Self::try_exclusive(path)? {
                return Ok(lock);
            }
        }
    }

    fn take(path: &Path, operation: FlockOperation) -> Result<Self, StoreError> {
        match Self::attempt(path, operation)? {
            Some(lock) => Ok(lock),
            // Only a non-blocking attempt returns no lock.
            None => Err(StoreError::io("lock", path, Errno::WOULDBLOCK.into())),
        }
    }

    fn attempt(path: &Path, operation: FlockOperation) -> Result<Option<Self>, StoreError> {
        loop {
            let file = open(path)?;
            match rustix::fs::flock(&file, operation) {
                // Another process has removed the file, so this lock excludes
                // no process.
                Ok(()) if !is_at(&file, path) => {}
                Ok(()) => return Ok(Some(Self { _file: file })),
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(StoreError::io("lock", path, errno.into())),
            }
        }
    }
}

/// Whether the path still names the open file.
fn is_at(file: &OwnedFd, path: &Path) -> bool {
    let identity = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
    let (held, named) = (rustix::fs::fstat(file), rustix::fs::stat(path));
    held.map(identity).ok() == named.map(identity).ok()
}

fn open(path: &Path) -> Result<OwnedFd, StoreError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|errno| StoreError::io("open", path, errno.into()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_lock_whose_file_was_removed_is_taken_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = Lock::exclusive(&path).unwrap();
        let waiting = path.clone();
        let waiter = std::thread::spawn(move || Lock::exclusive(&waiting).unwrap());
        first.remove(&path).unwrap();
        let second = waiter.join().unwrap();
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        drop(second);
        assert!(Lock::try_exclusive(&path).unwrap().is_some());
    }
}
