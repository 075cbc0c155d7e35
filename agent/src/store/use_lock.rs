//! Keeps users of blobs and layers apart from garbage collection.
//!
//! Every request that makes or uses blobs and layers shares `use.lock`; garbage
//! collection holds it exclusively. If requests overlapped without a gap, the
//! lock would never be free. So a process that wants it exclusively closes
//! `turn.lock`, which every request passes, and later requests wait.
//!
//! `turn.lock` stays open while a session exists (`sessions.lock`): a process,
//! a shell or a live folder. A session may last for days, and a later request
//! may belong to it.

use std::time::Duration;

use super::{Lock, Store, StoreError};

/// The interval between attempts to take a lock that another process holds.
const POLL: Duration = Duration::from_millis(10);
/// A wait that is over sooner is not reported.
const SILENT_WAIT: Duration = Duration::from_millis(500);

/// How long blobs and layers are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseKind {
    /// Until a piece of work is finished.
    Work,
    /// For an unlimited time, such as a running process or a shell.
    Session,
}

/// Prevents garbage collection while it is held.
#[derive(Debug)]
pub struct UseLock {
    _in_use: Lock,
    _session: Option<Lock>,
}

impl Store {
    /// Keeps garbage from being collected until the lock is dropped. Every
    /// request takes it before it makes or uses blobs or layers.
    ///
    /// Calls `on_wait` once if it has to wait for more than half a second; an
    /// error of that ends the wait.
    pub async fn in_use<E: From<StoreError>>(
        &self,
        kind: UseKind,
        on_wait: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<UseLock, E> {
        let start = tokio::time::Instant::now();
        while start.elapsed() < SILENT_WAIT {
            if let Some(use_lock) = self.try_in_use(kind)? {
                return Ok(use_lock);
            }
            tokio::time::sleep(POLL).await;
        }
        on_wait().await?;
        loop {
            if let Some(use_lock) = self.try_in_use(kind)? {
                return Ok(use_lock);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn try_in_use(&self, kind: UseKind) -> Result<Option<UseLock>, StoreError> {
        let Some(_turn) = Lock::try_shared(&self.lock_path("turn.lock"))? else {
            return Ok(None);
        };
        let session = match kind {
            UseKind::Work => None,
            UseKind::Session => Some(Lock::shared(&self.lock_path("sessions.lock"))?),
        };
        let in_use = Lock::try_shared(&self.lock_path("use.lock"))?;
        Ok(in_use.map(|in_use| UseLock {
            _in_use: in_use,
            _session: session,
        }))
    }

    /// Waits until no request makes or uses blobs and layers. Calls `on_wait`
    /// if it has to wait.
    pub async fn alone<E: From<StoreError>>(
        &self,
        on_wait: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<Lock, E> {
        if let Some(lock) = self.try_alone()? {
            return Ok(lock);
        }
        on_wait().await?;
        let mut turn = None;
        loop {
            if turn.is_none() {
                turn = Lock::try_exclusive(&self.lock_path("turn.lock"))?;
            }
            if turn.is_some() && self.has_sessions()? {
                turn = None;
            }
            if let Some(lock) = self.try_alone()? {
                return Ok(lock);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Like [`alone`](Self::alone), without a wait. Absent if a request makes
    /// or uses blobs or layers.
    pub(super) fn try_alone(&self) -> Result<Option<Lock>, StoreError> {
        Lock::try_exclusive(&self.lock_path("use.lock"))
    }

    /// Whether a session holds the store. The caller must hold `turn.lock`
    /// exclusively, so that no new session begins.
    fn has_sessions(&self) -> Result<bool, StoreError> {
        let sessions = Lock::try_exclusive(&self.lock_path("sessions.lock"))?;
        Ok(sessions.is_none())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::convert::Infallible;
    use std::pin::pin;

    use super::*;

    async fn use_lock(store: &Store, kind: UseKind) -> UseLock {
        let on_wait = async || Ok::<_, StoreError>(());
        store.in_use(kind, on_wait).await.unwrap()
    }

    /// Takes the lock again and again, each time before it releases the
    /// previous one. So the store is never free as long as each lock is granted
    /// soon.
    async fn rounds(store: &Store) -> Infallible {
        let mut held = Some(use_lock(store, UseKind::Work).await);
        loop {
            let soon = tokio::time::timeout(4 * POLL, use_lock(store, UseKind::Work));
            let next = soon.await.ok();
            drop(std::mem::replace(&mut held, next));
            // A lock that is granted at once does not yield to other tasks.
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_waits_to_be_alone_is_not_overtaken_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let on_wait = async || Ok::<_, StoreError>(());
        tokio::select! {
            never = rounds(&store) => match never {},
            alone = store.alone(on_wait) => drop(alone.unwrap()),
        }
    }

    #[tokio::test]
    async fn a_session_keeps_the_way_open() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let session = use_lock(&store, UseKind::Session).await;
        let mut alone = pin!(store.alone(async || Ok::<_, StoreError>(())));
        for _ in 0..3 {
            assert!(futures_util::poll!(&mut alone).is_pending());
            drop(use_lock(&store, UseKind::Work).await);
            tokio::time::sleep(2 * POLL).await;
        }
        drop(session);
        drop(alone.await.unwrap());
    }
}
