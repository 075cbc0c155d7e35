//! Connects one request with its host: it sends events and data, and receives
//! inputs and data.
//!
//! Dropping the future that serves a request cancels it. The drop must end
//! everything that the request has started.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use protocol::input::Credential;
use protocol::{Channel, Event, Failure, FailureKind, Input};
use tokio::sync::{Notify, mpsc, oneshot};

/// The most queued messages in each direction before the sender waits.
pub const QUEUE: usize = 64;

/// A message to the host.
#[derive(Debug)]
pub enum Outgoing {
    /// An event.
    Event(Event),
    /// Bytes of a channel, at most [`protocol::DATA_CAP`] at a time.
    Data(Channel, Bytes),
}

/// A message from the host, except a credential. A credential goes to the
/// caller of [`RequestStream::credential`].
#[derive(Debug)]
pub enum Incoming {
    /// An input.
    Input(Input),
    /// Bytes of a channel.
    Data(Channel, Bytes),
}

/// The host has closed its connection, which ends the request.
#[derive(Debug, thiserror::Error)]
#[error("the host ended the request")]
pub struct HostGone;

impl From<HostGone> for Failure {
    fn from(error: HostGone) -> Self {
        Self::from_error(FailureKind::Cancelled, &error)
    }
}

/// A notification that ends the whole session of a host.
pub(crate) type EndOfSession = Arc<Notify>;

type Answers = Arc<Mutex<HashMap<String, Vec<oneshot::Sender<Option<Credential>>>>>>;

/// The request's sending end; cheap to clone.
#[derive(Debug, Clone)]
pub struct RequestStream {
    outgoing: mpsc::Sender<Outgoing>,
    answers: Answers,
    /// Ends the session to which the request belongs.
    pub(crate) end_of_session: EndOfSession,
}

/// The request's receiving end.
pub type Inputs = mpsc::Receiver<Incoming>;

/// The session's ends of a request's stream.
#[derive(Debug)]
pub struct SessionEnds {
    /// Messages that the request sends.
    pub outgoing: mpsc::Receiver<Outgoing>,
    /// Messages of the host, except credentials.
    pub incoming: mpsc::Sender<Incoming>,
    answers: Answers,
}

impl RequestStream {
    /// Makes a stream: the request's two ends, and those of the session.
    pub fn new() -> (Self, Inputs, SessionEnds) {
        Self::within(EndOfSession::default())
    }

    /// Makes a stream for a request of a session.
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

    /// Sends an event. Waits if the queue to the host is full.
    pub async fn event(&self, event: Event) -> Result<(), HostGone> {
        let event = Outgoing::Event(event);
        self.outgoing.send(event).await.map_err(|_| HostGone)?;
        // Lets the event go out before the caller blocks this thread.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Sends a progress event. Drops it if the queue to the host is full.
    pub fn progress(&self, event: Event) {
        let _ = self.outgoing.try_send(Outgoing::Event(event));
    }

    /// Sends bytes of a channel. Waits if the queue to the host is full.
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
    /// Passes an input to the request, or a credential to the caller that waits
    /// for it.
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
