//! Advisory locks on files: they end with the process that holds them.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::StoreError;

/// The lock file of a temporary directory.
pub(super) const OWNER: &str = ".owner";
/// How often a lock that somebody else holds is tried again. `flock` has no
/// asynchronous form, and a thread that blocks in it could not be cancelled.
const POLL: Duration = Duration::from_millis(50);

/// A held lock.
#[derive(Debug)]
pub struct Lock {
    _file: OwnedFd,
}

impl Lock {
    /// Takes a lock alone, waiting for others; blocks the thread.
    pub fn exclusive(path: &Path) -> Result<Self, StoreError> {
        Self::take(path, FlockOperation::LockExclusive)
    }

    /// Takes a lock together with others; blocks the thread.
    pub fn shared(path: &Path) -> Result<Self, StoreError> {
        Self::take(path, FlockOperation::LockShared)
    }

    /// Takes a lock together with others, on a thread that may block.
    pub async fn shared_in_background(path: PathBuf) -> Result<Self, StoreError> {
        let name = path.clone();
        match tokio::task::spawn_blocking(move || Self::shared(&path)).await {
            Ok(lock) => lock,
            Err(error) => Err(StoreError::io("lock", &name, error.into())),
        }
    }

    /// Takes a lock alone, unless somebody holds it.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>, StoreError> {
        let file = open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(StoreError::io("lock", path, errno.into())),
        }
    }

    /// Takes a lock alone; `on_wait` is called once when it must wait.
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
        let file = open(path)?;
        loop {
            match rustix::fs::flock(&file, operation) {
                Ok(()) => return Ok(Self { _file: file }),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(StoreError::io("lock", path, errno.into())),
            }
        }
    }
}

fn open(path: &Path) -> Result<OwnedFd, StoreError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|errno| StoreError::io("open", path, errno.into()))
}
