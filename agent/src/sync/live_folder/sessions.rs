//! Registers which session of this process keeps which folder in step.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::request::stream::EndOfSession;

/// Settle requests that may wait.
const QUEUE: usize = 16;

/// Somebody waits until the folder is in step.
pub(super) type SettleRequest = oneshot::Sender<()>;

/// All sessions that keep a project's folder in step; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct SyncSessions(Arc<Mutex<HashMap<String, SessionEntry>>>);

#[derive(Debug, Clone)]
struct SessionEntry {
    session: EndOfSession,
    settle_requests: mpsc::Sender<SettleRequest>,
}

/// One of them, until it is dropped.
pub(super) struct SyncSession {
    sessions: SyncSessions,
    project: String,
    /// Of other sessions.
    pub(super) settle_requests: mpsc::Receiver<SettleRequest>,
}

impl SyncSessions {
    /// The session of a project begins: it has the project's lock.
    pub(super) fn begin(&self, project: &str, session: EndOfSession) -> SyncSession {
        let (settle_requests, received) = mpsc::channel(QUEUE);
        let entry = SessionEntry {
            session,
            settle_requests,
        };
        self.change(|all| all.insert(project.to_owned(), entry));
        SyncSession {
            sessions: self.clone(),
            project: project.to_owned(),
            settle_requests: received,
        }
    }

    /// Ends a project's session, if this process has it, with everything else
    /// that its host had asked for.
    pub(super) fn end(&self, project: &str) {
        if let Some(entry) = self.change(|all| all.get(project).cloned()) {
            entry.session.notify_one();
        }
    }

    /// Waits until a project's session has brought everything that is there
    /// now, if this process has one.
    pub(super) async fn settled(&self, project: &str) {
        let Some(SessionEntry {
            settle_requests, ..
        }) = self.change(|all| all.get(project).cloned())
        else {
            return;
        };
        let (waiting_session, settled) = oneshot::channel();
        // One that ends has settled before.
        if settle_requests.send(waiting_session).await.is_ok() {
            let _ = settled.await;
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut HashMap<String, SessionEntry>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for SyncSession {
    fn drop(&mut self) {
        self.sessions.change(|all| all.remove(&self.project));
    }
}
