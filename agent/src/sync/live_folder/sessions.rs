//! Registers the session of this process that keeps each folder in step.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::request::stream::EndOfSession;

/// The most settle requests that wait for a session.
const QUEUE: usize = 16;

/// The sender that notifies a waiting session when the folder is in step.
pub(super) type SettleRequest = oneshot::Sender<()>;

/// The sessions that keep folders in step, by project; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct SyncSessions(Arc<Mutex<HashMap<String, SessionEntry>>>);

#[derive(Debug, Clone)]
struct SessionEntry {
    session: EndOfSession,
    settle_requests: mpsc::Sender<SettleRequest>,
}

/// A registered session. Dropping it removes the registration.
pub(super) struct SyncSession {
    sessions: SyncSessions,
    project: String,
    /// Settle requests of other sessions.
    pub(super) settle_requests: mpsc::Receiver<SettleRequest>,
}

impl SyncSessions {
    /// Registers the session of a project. The caller holds the project's lock.
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

    /// Ends the session of a project, if this process has it. This also ends
    /// all other requests of the session's host.
    pub(super) fn end(&self, project: &str) {
        if let Some(entry) = self.change(|all| all.get(project).cloned()) {
            entry.session.notify_one();
        }
    }

    /// Waits until a project's session has transferred all current changes, if
    /// this process has the session.
    pub(super) async fn settled(&self, project: &str) {
        let Some(SessionEntry {
            settle_requests, ..
        }) = self.change(|all| all.get(project).cloned())
        else {
            return;
        };
        let (waiting_session, settled) = oneshot::channel();
        // A session that is ending has transferred all changes before.
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
