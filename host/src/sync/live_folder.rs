//! Keeps a project's folder in step with its copy in a remote machine while a
//! shell runs.
//!
//! The agent decides, see [`protocol::folder`]. This side reports what has
//! changed here, and makes the changes that the agent requests.

mod change;
mod leftovers;
mod listing;
mod report;
mod round;
mod sync_lock;
mod task;

use std::path::PathBuf;

use protocol::{Failure, FailureKind, Request, request};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::connection::agent::{AgentConnection, AgentError, Exchange, Message};
use crate::sync::watch::Watch;
use round::Side;
use task::SyncTask;

pub(crate) use report::Report;
pub(crate) use sync_lock::SyncLock;

/// The maximum number of the agent's messages that wait.
const QUEUE: usize = 64;

/// A running synchronisation of a folder.
#[derive(Debug)]
pub(crate) struct LiveFolder {
    work: JoinHandle<Result<Report, Failure>>,
    end: oneshot::Sender<()>,
}

impl LiveFolder {
    /// Copies the folder to the machine, and keeps both in step from then on.
    /// Returns when the machine has the folder.
    pub(crate) async fn begin(
        agent: &AgentConnection,
        project: request::Project,
        root: PathBuf,
        sync_lock: SyncLock,
    ) -> Result<Self, Failure> {
        let request = Request::Folder { project };
        let Exchange {
            sender,
            mut receiver,
        } = agent.request(&request).await?;
        let (heard, messages) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            loop {
                let message = receiver.next().await;
                let is_last = matches!(message, Err(_) | Ok(Message::Outcome(_)));
                if heard.send(message).await.is_err() || is_last {
                    return;
                }
            }
        });
        let (ready, begun) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let (watch, polling) = Watch::new();
        let mut side = Side::new(root, sender, Messages(messages));
        if let Some(polling) = polling {
            side.report.polling(polling);
        }
        let work = SyncTask {
            side,
            watch,
            sync_lock,
        };
        let work = tokio::spawn(work.run(ready, ended));
        // If the task ends before that, its result has the reason.
        if begun.await.is_err() {
            return Err(joined(work).await.err().unwrap_or_else(unexpected));
        }
        Ok(Self { work, end })
    }

    /// Synchronises the last changes, and ends the session.
    pub(crate) async fn finish(self) -> Result<Report, Failure> {
        // The task may have ended with a failure.
        let _ = self.end.send(());
        joined(self.work).await
    }
}

async fn joined(work: JoinHandle<Result<Report, Failure>>) -> Result<Report, Failure> {
    let joined = work.await;
    joined.map_err(|error| Failure::from_error(FailureKind::Internal, &error))?
}

fn unexpected() -> Failure {
    let message = "the agent says something about the folder that does not belong there";
    Failure::new(FailureKind::Internal, message)
}

/// Receives the agent's messages.
struct Messages(mpsc::Receiver<Result<Message, AgentError>>);

impl Messages {
    /// Returns the next message. Cancel safe.
    async fn next(&mut self) -> Result<Message, Failure> {
        let message = self.0.recv().await.unwrap_or(Err(AgentError::NoOutcome));
        match message? {
            Message::Outcome(protocol::Outcome::Failed(failure)) => Err(failure),
            message => Ok(message),
        }
    }
}
