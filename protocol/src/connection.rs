//! Many requests over one byte stream: yamux.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, BufWriter};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _, TokioAsyncReadCompatExt as _};
use tokio_util::io::InspectReader;
use yamux::{Config, ConnectionError, Mode};

use crate::GATHERED;

/// Requests at a time; more is a broken or hostile peer.
const STREAMS: usize = 128;
/// Bytes that a peer may make us hold for all requests together.
const WINDOW: usize = 64 * 1024 * 1024;
/// A frame of ours fits into few frames of yamux.
const SPLIT: usize = 128 * 1024;
/// A host that has said nothing for so long, nor answered, is dead: not every
/// transport tells of the end of one that was killed. One that is only stopped
/// for a while (Ctrl-Z) is not.
const PATIENCE: Patience = Patience {
    look: Duration::from_mins(1),
    looks: 15,
};

/// One request's byte stream.
pub type Stream = Compat<yamux::Stream>;

/// A connection, driven by a task until it is dropped or breaks.
#[derive(Debug)]
pub struct Connection {
    open: mpsc::Sender<oneshot::Sender<Result<Stream, Broken>>>,
    accepted: mpsc::Receiver<Stream>,
    driver: JoinHandle<()>,
}

/// The connection is gone.
#[derive(Debug, thiserror::Error)]
#[error("the connection to the other side is gone")]
pub struct Broken(#[source] Option<ConnectionError>);

impl Connection {
    /// The side that opens streams.
    pub fn client(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Self::start(io, Mode::Client, None)
    }

    /// The side that accepts streams. It ends when the peer has been silent for
    /// a quarter of an hour.
    pub fn server(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Self::start(io, Mode::Server, Some(PATIENCE))
    }

    fn start(
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        mode: Mode,
        patience: Option<Patience>,
    ) -> Self {
        let mut config = Config::default();
        config.set_max_num_streams(STREAMS);
        config.set_max_connection_receive_window(Some(WINDOW));
        config.set_split_send_size(SPLIT);
        let (open, opens) = mpsc::channel(1);
        let (accepts, accepted) = mpsc::channel(STREAMS);
        let heard = Arc::new(AtomicBool::new(false));
        let silence = patience.map(|patience| Silence::new(patience, Arc::clone(&heard)));
        let io = InspectReader::new(io, move |_: &[u8]| heard.store(true, Ordering::Relaxed));
        // yamux writes header and body of a frame by themselves.
        let io = BufWriter::with_capacity(GATHERED, io);
        let connection = yamux::Connection::new(io.compat(), config, mode);
        let driver = Driver {
            connection,
            opens,
            waiting: None,
            accepts,
            silence,
        };
        Self {
            open,
            accepted,
            driver: tokio::spawn(driver.run()),
        }
    }

    /// Opens a stream.
    pub async fn open(&self) -> Result<Stream, Broken> {
        let (answer, opened) = oneshot::channel();
        self.open.send(answer).await.map_err(|_| Broken(None))?;
        opened.await.map_err(|_| Broken(None))?
    }

    /// The next stream that the peer opens; absent when the connection ends.
    pub async fn accept(&mut self) -> Option<Stream> {
        self.accepted.recv().await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

type Waiting = oneshot::Sender<Result<Stream, Broken>>;

struct Driver<T> {
    connection: yamux::Connection<T>,
    opens: mpsc::Receiver<Waiting>,
    waiting: Option<Waiting>,
    accepts: mpsc::Sender<Stream>,
    silence: Option<Silence>,
}

impl<T> Driver<T>
where
    T: futures_util::AsyncRead + futures_util::AsyncWrite + Unpin,
{
    async fn run(mut self) {
        if let Err(error) = poll_fn(|context| self.poll(context)).await {
            tracing::debug!(%error, "connection ended");
        }
    }

    /// Ready when the connection has ended.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        if let Some(silence) = &mut self.silence
            && silence.too_long(context)
        {
            let error = std::io::Error::from(std::io::ErrorKind::TimedOut);
            return Poll::Ready(Err(error.into()));
        }
        loop {
            if self.waiting.is_none()
                && let Poll::Ready(Some(waiting)) = self.opens.poll_recv(context)
            {
                self.waiting = Some(waiting);
            }
            if self.waiting.is_some()
                && let Poll::Ready(opened) = self.connection.poll_new_outbound(context)
            {
                let stream = opened
                    .map(futures_stream)
                    .map_err(|error| Broken(Some(error)));
                if let Some(waiting) = self.waiting.take() {
                    let _ = waiting.send(stream);
                }
                continue;
            }
            match self.connection.poll_next_inbound(context) {
                // A stream that nobody takes is dropped, and so refused.
                Poll::Ready(Some(Ok(stream))) => {
                    let _ = self.accepts.try_send(futures_stream(stream));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// How long a peer may be silent: so many looks in a row that find that nothing
/// came since the one before.
#[derive(Debug, Clone, Copy)]
struct Patience {
    look: Duration,
    looks: u32,
}

/// How long a peer has been silent. Counted in looks, not by the clock, which
/// goes on while a machine sleeps.
struct Silence {
    looks: Interval,
    patience: u32,
    silent: u32,
    heard: Arc<AtomicBool>,
}

impl Silence {
    fn new(patience: Patience, heard: Arc<AtomicBool>) -> Self {
        let mut looks = interval_at(Instant::now() + patience.look, patience.look);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            looks,
            patience: patience.looks,
            silent: 0,
            heard,
        }
    }

    /// Looks when it is time, and wakes the connection for it, at which yamux
    /// asks the peer for an answer (its ping).
    fn too_long(&mut self, context: &mut Context<'_>) -> bool {
        while self.looks.poll_tick(context).is_ready() {
            let heard = self.heard.swap(false, Ordering::Relaxed);
            self.silent = if heard { 0 } else { self.silent + 1 };
        }
        self.silent >= self.patience
    }
}

fn futures_stream(stream: yamux::Stream) -> Stream {
    stream.compat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HURRY: Patience = Patience {
        look: Duration::from_millis(500),
        looks: 24,
    };

    /// yamux asks every ten seconds.
    #[tokio::test]
    async fn only_a_peer_that_does_not_answer_is_dead() {
        let (ours, theirs) = tokio::io::duplex(1024);
        let (other, dead) = tokio::io::duplex(1024);
        let mut alive = Connection::start(ours, Mode::Server, Some(HURRY));
        let mut lost = Connection::start(other, Mode::Server, Some(HURRY));
        let peer = Connection::client(theirs);
        let limit = Duration::from_secs(14);
        let still = tokio::time::timeout(limit, alive.accept());
        let gone = tokio::time::timeout(limit, lost.accept());
        let (still, gone) = tokio::join!(still, gone);
        assert!(still.is_err(), "an idle peer was taken for a dead one");
        assert!(matches!(gone, Ok(None)), "a dead peer was waited for");
        drop((peer, dead));
    }
}
