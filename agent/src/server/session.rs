//! Serves one host's connection: exchanges the hello, then runs a task for each
//! request.

use std::sync::Arc;

use protocol::frame::{self, Frame};
use protocol::hello::{self, HelloError, Token};
use protocol::{
    Channel, Connection, Event, Failure, FailureKind, FrameError, GATHERED, Input, Outcome, Reply,
    Request, Stream,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufWriter, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::Agent;
use crate::request::stream::{EndOfSession, Incoming, Outgoing, QUEUE, RequestStream, SessionEnds};
use crate::server::handler;

/// Serves a connection until the host closes it. This cancels all its requests.
#[tracing::instrument(skip_all)]
pub async fn serve(
    agent: Arc<Agent>,
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    token: Option<&Token>,
) -> Result<(), HelloError> {
    let end = EndOfSession::default();
    let ended = Arc::clone(&end);
    let serve = move |stream| {
        let (agent, end) = (Arc::clone(&agent), Arc::clone(&end));
        Box::pin(serve_request(agent, end, stream))
    };
    tokio::select! {
        served = serve_each(io, token, serve) => served,
        // Another session has found that this host is dead.
        () = ended.notified() => Ok(()),
    }
}

/// Answers every request of a connection with the error that prevents the start
/// of the agent.
pub async fn refuse(
    failure: Failure,
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<(), HelloError> {
    serve_each(io, None, move |stream| refuse_one(stream, failure.clone())).await
}

async fn serve_each<F: Future<Output = Result<(), FrameError>> + Send + 'static>(
    mut io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    token: Option<&Token>,
    serve: impl Fn(Stream) -> F,
) -> Result<(), HelloError> {
    let peer = hello::answer(&mut io, crate::agent::build_id(), token).await?;
    tracing::debug!(?peer, "host connected");
    let mut connection = Connection::server(io);
    let mut requests = JoinSet::new();
    while let Some(stream) = connection.accept().await {
        let served = serve(stream);
        requests.spawn(async move {
            if let Err(error) = served.await {
                tracing::debug!(%error, "request ended");
            }
        });
        while requests.try_join_next().is_some() {}
    }
    Ok(())
}

async fn serve_request(
    agent: Arc<Agent>,
    end: EndOfSession,
    stream: Stream,
) -> Result<(), FrameError> {
    let (mut reader, writer) = tokio::io::split(stream);
    let mut writer = BufWriter::with_capacity(GATHERED, writer);
    let request = match frame::read::<Request>(&mut reader).await {
        Ok(Some(Frame::Message(request))) => request,
        Ok(Some(Frame::Data(..))) => return Err(FrameError::Unsupported),
        Ok(None) => return Ok(()),
        Err(error) => {
            refuse_one(writer, frame_failure(&error)).await?;
            return Err(error);
        }
    };
    let (stream, inputs, mut ends) = RequestStream::within(end);
    let outgoing = std::mem::replace(&mut ends.outgoing, mpsc::channel(1).1);
    let work = async {
        let reply = handler::handle(&agent, request, stream.clone(), inputs).await;
        // This fails if the host is gone, which does not matter any more.
        let _ = stream.event(Event::Outcome(outcome(reply))).await;
        drop(stream);
    };
    tokio::select! {
        ((), written) = async { tokio::join!(work, send(outgoing, &mut writer)) } => written,
        received = receive(&mut reader, &ends) => received,
    }
}

/// Answers a request that the agent does not serve.
async fn refuse_one(
    mut writer: impl AsyncWrite + Unpin,
    failure: Failure,
) -> Result<(), FrameError> {
    let outcome = Outcome::Failed(failure);
    write_event(&mut writer, Event::Outcome(outcome)).await?;
    Ok(writer.shutdown().await?)
}

/// Sends all messages of a request, until the request closes its end.
async fn send(
    mut outgoing: mpsc::Receiver<Outgoing>,
    writer: &mut BufWriter<WriteHalf<Stream>>,
) -> Result<(), FrameError> {
    let mut messages = Vec::new();
    while outgoing.recv_many(&mut messages, QUEUE).await > 0 {
        for message in messages.drain(..) {
            match message {
                Outgoing::Event(event) => write_event(writer, event).await?,
                Outgoing::Data(channel, bytes) => {
                    frame::write_data(writer, channel, &bytes).await?;
                }
            }
        }
        writer.flush().await?;
    }
    Ok(writer.shutdown().await?)
}

/// Writes an event. Shortens an event that is too large for a frame, or drops
/// it if the request can do without it.
async fn write_event(
    writer: &mut (impl AsyncWrite + Unpin),
    event: Event,
) -> Result<(), FrameError> {
    match frame::write_message(writer, &event).await {
        Err(error @ FrameError::TooLong { .. }) => {
            tracing::warn!(%error, "an event is shortened");
            match event.shortened() {
                Some(event) => frame::write_message(writer, &event).await,
                None => Ok(()),
            }
        }
        written => written,
    }
}

/// Passes all messages of the host to a request. Ends when the host ends the
/// stream, which cancels the request.
async fn receive(reader: &mut ReadHalf<Stream>, ends: &SessionEnds) -> Result<(), FrameError> {
    while let Some(frame) = frame::read::<Input>(reader).await? {
        let incoming = match frame {
            Frame::Message(input) => Incoming::Input(input),
            Frame::Data(channel @ (Channel::Stdin | Channel::Bulk), bytes) => {
                Incoming::Data(channel, bytes)
            }
            Frame::Data(..) => return Err(FrameError::Unsupported),
        };
        // A request that has closed its receiving end may still send.
        let _ = ends.deliver(incoming).await;
    }
    Ok(())
}

fn outcome(reply: Result<Reply, Failure>) -> Outcome {
    match reply {
        Ok(reply) => Outcome::Done(reply),
        Err(failure) => Outcome::Failed(failure),
    }
}

fn frame_failure(error: &FrameError) -> Failure {
    let kind = match error {
        FrameError::Unsupported => FailureKind::Unsupported,
        _ => FailureKind::Invalid,
    };
    Failure::from_error(kind, error)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[tokio::test]
    async fn a_failure_that_is_too_large_still_ends_the_request() {
        let message = "x".repeat(1_000_000);
        let failure = Failure::new(FailureKind::Platform, message);
        let mut stream = Vec::new();
        let event = Event::Outcome(Outcome::Failed(failure));
        write_event(&mut stream, event).await.unwrap();
        let read = frame::read::<Event>(&mut &*stream).await.unwrap();
        let Some(Frame::Message(Event::Outcome(Outcome::Failed(failure)))) = read else {
            panic!("{read:?}");
        };
        assert_eq!(failure.kind, FailureKind::Platform);
        assert!(failure.message.starts_with("xxx"));
    }
}
