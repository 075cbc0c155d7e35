//! Speaks the protocol with a connected agent: one stream for each request,
//! with a sender and a receiver.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::frame::{self, Frame};
use protocol::hello::{self, HelloError, Token};
use protocol::{
    Broken, Channel, Connection, Event, Failure, FailureKind, FrameError, GATHERED, Input, OPENED,
    Outcome, Reply, Request, Stream, build_id,
};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufWriter, ReadHalf, WriteHalf,
};
use tokio::sync::Semaphore;

/// The maximum number of connections to forwarded ports, at a time.
const FORWARDED: usize = OPENED / 2;
/// The agent ends a stream within this time after its last message.
const END: Duration = Duration::from_secs(1);

/// A connection with an agent that uses the same protocol.
#[derive(Debug)]
pub(crate) struct AgentConnection {
    connection: Connection,
    /// Permits for forwarded connections. They leave streams for everything
    /// else.
    pub(crate) forwarded: Arc<Semaphore>,
    /// The name of the agent's build, as in [`protocol::build_id`].
    pub(crate) build: String,
}

/// Why the agent cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// The exchange of hellos failed.
    #[error("cannot exchange greetings with the agent")]
    Hello(#[from] HelloError),
    /// The connection ended.
    #[error("the connection to the agent broke")]
    Broken(#[from] Broken),
    /// The agent sent an invalid frame, or the stream failed.
    #[error("the agent sent a message that is not valid")]
    Frame(#[from] FrameError),
    /// The stream ended before its outcome.
    #[error("the agent ended the request without an answer")]
    NoOutcome,
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        let failure = Self::from_error(FailureKind::Machine, &error);
        match error {
            AgentError::Broken(_) | AgentError::NoOutcome => failure.with_hint(
                "run the command again; `locald vm logs` may show the cause, often a lack of memory",
            ),
            AgentError::Hello(HelloError::Version { .. }) => failure.with_hint(
                "use the locald and the agent of one release; `locald vm upgrade` brings the agent of this locald",
            ),
            AgentError::Hello(_) | AgentError::Frame(_) => failure,
        }
    }
}

/// A message of the agent within a request.
#[derive(Debug)]
pub(crate) enum Message {
    /// An event other than the outcome.
    Event(Event),
    /// Bytes of a channel.
    Data(Channel, Bytes),
    /// The outcome: the last message.
    Outcome(Outcome),
}

/// One request. Dropping both halves cancels it.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// Sends to the agent.
    pub(crate) sender: Sender,
    /// Receives from the agent.
    pub(crate) receiver: Receiver,
}

/// The sending half of a request.
#[derive(Debug)]
pub(crate) struct Sender(BufWriter<WriteHalf<Stream>>);

/// The receiving half of a request.
#[derive(Debug)]
pub(crate) struct Receiver(ReadHalf<Stream>);

impl AgentConnection {
    /// Exchanges hellos over a byte stream, and makes a connection of it.
    pub(crate) async fn connect(
        mut io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        token: &Token,
    ) -> Result<Self, AgentError> {
        let peer = hello::greet(&mut io, &build_id::of_version(), token).await?;
        tracing::debug!(?peer, "agent");
        let connection = Connection::client(io);
        let build = peer.build_id;
        let forwarded = Arc::new(Semaphore::new(FORWARDED));
        Ok(Self {
            connection,
            forwarded,
            build,
        })
    }

    /// Sends a request on a new stream.
    pub(crate) async fn request(&self, request: &Request) -> Result<Exchange, AgentError> {
        let stream = self.connection.open().await?;
        let (read, write) = tokio::io::split(stream);
        let mut write = BufWriter::with_capacity(GATHERED, write);
        frame::write_message(&mut write, request).await?;
        write.flush().await.map_err(FrameError::from)?;
        Ok(Exchange {
            sender: Sender(write),
            receiver: Receiver(read),
        })
    }

    /// Sends a request that needs no input, and returns its reply.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Reply, Failure> {
        let mut exchange = self.request(request).await?;
        loop {
            match exchange.receiver.next().await? {
                Message::Outcome(Outcome::Done(reply)) => return Ok(reply),
                Message::Outcome(Outcome::Failed(failure)) => return Err(failure),
                Message::Event(_) | Message::Data(..) => {}
            }
        }
    }
}

impl Sender {
    /// Sends a message, and flushes.
    pub(crate) async fn input(&mut self, input: &Input) -> Result<(), AgentError> {
        self.queue_input(input).await?;
        self.flush().await
    }

    /// Sends bytes of a channel, and flushes.
    pub(crate) async fn data(&mut self, channel: Channel, bytes: &[u8]) -> Result<(), AgentError> {
        self.queue_data(channel, bytes).await?;
        self.flush().await
    }

    /// Queues a message. [`Self::flush`] or a later message sends it.
    pub(crate) async fn queue_input(&mut self, input: &Input) -> Result<(), AgentError> {
        Ok(frame::write_message(&mut self.0, input).await?)
    }

    /// Queues bytes of a channel. [`Self::flush`] or a later message sends
    /// them.
    pub(crate) async fn queue_data(
        &mut self,
        channel: Channel,
        bytes: &[u8],
    ) -> Result<(), AgentError> {
        Ok(frame::write_data(&mut self.0, channel, bytes).await?)
    }

    /// Sends all queued messages.
    pub(crate) async fn flush(&mut self) -> Result<(), AgentError> {
        Ok(self.0.flush().await.map_err(FrameError::from)?)
    }
}

impl Receiver {
    /// Returns the next message. Not cancel safe: dropping the future may lose
    /// a part of a frame.
    pub(crate) async fn next(&mut self) -> Result<Message, AgentError> {
        match frame::read::<Event>(&mut self.0).await? {
            Some(Frame::Message(Event::Outcome(outcome))) => {
                self.end().await;
                Ok(Message::Outcome(outcome))
            }
            Some(Frame::Message(event)) => Ok(Message::Event(event)),
            Some(Frame::Data(channel, bytes)) => Ok(Message::Data(channel, bytes)),
            None => Err(AgentError::NoOutcome),
        }
    }

    /// Waits until the agent ends the stream. Closing the connection while the
    /// agent still writes triggers a bug of `vhost-device-vsock` 0.3: the guest
    /// does not learn that the connection is closed.
    async fn end(&mut self) {
        let _ = tokio::time::timeout(END, self.0.read(&mut [0])).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_of_another_release_is_told_with_the_next_step() {
        let error = HelloError::Version {
            build_id: "locald/9".to_owned(),
            low: 8,
            high: 9,
        };
        let failure = Failure::from(AgentError::Hello(error));
        let hint = failure.hint.unwrap_or_default();
        assert!(hint.contains("locald vm upgrade"), "{hint}");
    }
}
