//! Connects the code of one request with its host: events and data out, inputs
//! and data in.
//!
//! Dropping the future that serves a request cancels it. Everything that a
//! request starts must end when it is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use protocol::input::Credential;
use protocol::{Channel, Event, Failure, FailureKind, Input};
use tokio::sync::{Notify, mpsc, oneshot};

/// Messages in flight in each direction before the sender waits.
pub const QUEUE: usize = 64;

/// What goes to the host.
#[derive(Debug)]
pub enum Outgoing {
    /// A message.
    Event(Event),
    /// Bytes of a channel, at most [`protocol::DATA_CAP`] at a time.
    Data(Channel, Bytes),
}

/// What comes from the host, except for credentials: these go to the caller of
/// [`RequestStream::credential`].
#[derive(Debug)]
pub enum Incoming {
    /// A message.
    Input(Input),
    /// Bytes of a channel.
    Data(Channel, Bytes),
}

/// The host has gone: the request is over.
#[derive(Debug, thiserror::Error)]
#[error("the host ended the request")]
pub struct HostGone;

impl From<HostGone> for Failure {
    fn from(error: HostGone) -> Self {
        Self::from_error(FailureKind::Cancelled, &error)
    }
}

/// Ends a host's whole session when it is notified.
pub(crate) type EndOfSession = Arc<Notify>;

type Answers = Arc<Mutex<HashMap<String, Vec<oneshot::Sender<Option<Credential>>>>>>;

/// The agent's half that speaks; cheap to clone.
#[derive(Debug, Clone)]
pub struct RequestStream {
    outgoing: mpsc::Sender<Outgoing>,
    answers: Answers,
    /// Ends the session that the request belongs to.
    pub(crate) end_of_session: EndOfSession,
}

/// The agent's half that listens.
pub type Inputs = mpsc::Receiver<Incoming>;

/// The session's ends of a request's stream.
#[derive(Debug)]
pub struct SessionEnds {
    /// What the request wants to say.
    pub outgoing: mpsc::Receiver<Outgoing>,
    /// What the host said, except for credentials.
    pub incoming: mpsc::Sender<Incoming>,
    answers: Answers,
}

impl RequestStream {
    /// A new stream: the request's two halves, and the session's ends.
    pub fn new() -> (Self, Inputs, SessionEnds) {
        Self::within(EndOfSession::default())
    }

    /// The same, for a request of a session.
    pub(crate) fn within(end_of_session: EndOfSession) -> (Self, Inputs, SessionEnds) {
        let (outgoing, outgoing_end) = mpsc::channel(QUEUE);
        let (incoming_end, inputs) = mpsc::channel(QUEUE);
        let answers = Answers::default();
        let ends = SessionEnds {
            outgoing: outgoing_end,
            incoming: incoming_end,
            answers: Arc::clone(&answers),
        };
        let stream = Self {
            outgoing,
            answers,
            end_of_session,
        };
        (stream, inputs, ends)
    }

    /// Sends an event; waits while the host is slow.
    pub async fn event(&self, event: Event) -> Result<(), HostGone> {
        let event = Outgoing::Event(event);
        self.outgoing.send(event).await.map_err(|_| HostGone)?;
        // What blocks this thread next must not hold it up.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Sends an event that may be lost when the host is slow: progress.
    pub fn progress(&self, event: Event) {
        let _ = self.outgoing.try_send(Outgoing::Event(event));
    }

    /// Sends bytes of a channel; waits while the host is slow.
    pub async fn data(&self, channel: Channel, bytes: Bytes) -> Result<(), HostGone> {
        self.outgoing
            .send(Outgoing::Data(channel, bytes))
            .await
            .map_err(|_| HostGone)
    }

    /// Warns the user.
    pub async fn warn(
        &self,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Result<(), HostGone> {
        let message = message.into();
        self.event(Event::Warning { message, hint }).await
    }

    /// Asks the host for the credential of a repository: `quay.io/me/app`.
    pub async fn credential(&self, repository: &str) -> Result<Option<Credential>, HostGone> {
        let (answer, answered) = oneshot::channel();
        let first = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            let waiting = answers.entry(repository.to_owned()).or_default();
            waiting.push(answer);
            waiting.len() == 1
        };
        if first {
            let repository = repository.to_owned();
            self.event(Event::CredentialWanted { repository }).await?;
        }
        answered.await.map_err(|_| HostGone)
    }
}

impl SessionEnds {
    /// Hands an input to the request, or a credential to the caller that waits for it.
    pub async fn deliver(&self, incoming: Incoming) -> Result<(), HostGone> {
        if let Incoming::Input(Input::Credential {
            repository,
            credential,
        }) = incoming
        {
            let waiting = self
                .answers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&repository)
                .unwrap_or_default();
            for answer in waiting {
                let _ = answer.send(credential.clone());
            }
            return Ok(());
        }
        self.incoming.send(incoming).await.map_err(|_| HostGone)
    }
}
