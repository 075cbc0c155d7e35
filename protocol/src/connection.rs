//! Many streams over one byte stream: yamux.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, BufWriter};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::compat::TokioAsyncReadCompatExt as _;
use tokio_util::io::InspectReader;
use yamux::{Config, ConnectionError, Mode};

use crate::GATHERED;
use crate::stream::Stream;

/// Streams that a side may have open at a time. [`Connection::open`] waits for
/// a place.
pub const OPENED: usize = 1280;
/// Streams that a side accepts at a time. A peer that opens more is broken or
/// hostile, and loses the connection. The number is higher than [`OPENED`],
/// because a side counts a stream until it has dropped it, which may be later
/// than its peer did.
const STREAMS: usize = OPENED + OPENED / 4;
/// Bytes that a peer may make this side hold for one stream, at first.
const FIRST_WINDOW: usize = 256 * 1024;
/// Bytes that a peer may make this side hold for all streams together. A stream
/// that is read fast may have more than its first window.
const WINDOW: usize = STREAMS * FIRST_WINDOW + 32 * 1024 * 1024;
/// Bytes of a frame of yamux, so that a frame of this protocol needs few.
const SPLIT: usize = 128 * 1024;
/// A host that sends nothing for this long, not even answers to pings, is dead.
/// Not every transport reports that a host was killed. A host that was only
/// stopped for a while (Ctrl-Z) is not dead.
const PATIENCE: Patience = Patience {
    look: Duration::from_mins(1),
    looks: 15,
};

/// A connection with many streams. A task drives it, until it is dropped or
/// breaks. Must be made within a tokio runtime.
#[derive(Debug)]
pub struct Connection {
    places: Arc<Semaphore>,
    open: mpsc::Sender<Waiting>,
    accepted: mpsc::Receiver<Stream>,
    driver: JoinHandle<()>,
}

/// The connection has ended.
#[derive(Debug, thiserror::Error)]
#[error("the connection to the other side is gone")]
pub struct Broken(#[source] Option<ConnectionError>);

impl Connection {
    /// Makes the side that opens streams (the host). It accepts none.
    pub fn client(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Self::start(io, Mode::Client, None)
    }

    /// Makes the side that accepts streams (the agent). It ends the connection
    /// after a quarter of an hour without a byte from the peer.
    pub fn server(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Self::start(io, Mode::Server, Some(PATIENCE))
    }

    fn start(
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        mode: Mode,
        patience: Option<Patience>,
    ) -> Self {
        let mut config = Config::default();
        // Its assertion holds after each of both.
        config.set_max_connection_receive_window(None);
        config.set_max_num_streams(STREAMS);
        config.set_max_connection_receive_window(Some(WINDOW));
        config.set_split_send_size(SPLIT);
        let (open, opens) = mpsc::channel(1);
        let (accepts, mut accepted) = mpsc::channel(STREAMS);
        if mode == Mode::Client {
            accepted.close();
        }
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
            places: Arc::new(Semaphore::new(OPENED)),
            open,
            accepted,
            driver: tokio::spawn(driver.run()),
        }
    }

    /// Opens a stream. Waits while [`OPENED`] of this side are open.
    ///
    /// # Errors
    ///
    /// [`Broken`] if the connection has ended.
    pub async fn open(&self) -> Result<Stream, Broken> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| Broken(None))?;
        let (answer, opened) = oneshot::channel();
        self.open.send(answer).await.map_err(|_| Broken(None))?;
        let stream = opened.await.map_err(|_| Broken(None))??;
        Ok(Stream::new(stream, Some(place)))
    }

    /// Waits for the next stream that the peer opens. Returns `None` when the
    /// connection has ended.
    pub async fn accept(&mut self) -> Option<Stream> {
        self.accepted.recv().await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

type Waiting = oneshot::Sender<Result<yamux::Stream, Broken>>;

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
                let stream = opened.map_err(|error| Broken(Some(error)));
                if let Some(waiting) = self.waiting.take() {
                    let _ = waiting.send(stream);
                }
                continue;
            }
            match self.connection.poll_next_inbound(context) {
                // If the queue is full, `try_send` drops the stream. That
                // resets it.
                Poll::Ready(Some(Ok(stream))) => {
                    let _ = self.accepts.try_send(Stream::new(stream, None));
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const HURRY: Patience = Patience {
        look: Duration::from_millis(500),
        looks: 24,
    };

    #[tokio::test]
    async fn whoever_wants_one_stream_too_many_waits_and_nothing_else_ends() {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let client = Connection::client(ours);
        let mut server = Connection::server(theirs);
        tokio::spawn(async move {
            let mut all = tokio::task::JoinSet::new();
            while let Some(mut stream) = server.accept().await {
                all.spawn(async move {
                    let (mut reader, mut writer) = tokio::io::split(&mut stream);
                    tokio::io::copy(&mut reader, &mut writer).await
                });
            }
        });
        let echo = async |stream: &mut Stream| {
            let mut heard = [0];
            stream.write_all(b"x").await?;
            stream.flush().await?;
            stream.read_exact(&mut heard).await.map(drop)
        };
        let mut streams = Vec::new();
        for _ in 0..OPENED {
            let mut stream = client.open().await.unwrap();
            echo(&mut stream).await.unwrap();
            streams.push(stream);
        }
        let late = client.open();
        tokio::pin!(late);
        assert!(futures_util::poll!(&mut late).is_pending());
        // Open streams continue. Each stream that ends makes room for another.
        echo(streams.last_mut().unwrap()).await.unwrap();
        drop(streams.pop());
        let mut late = late.await.unwrap();
        echo(&mut late).await.unwrap();
        for _ in 0..2 * STREAMS {
            drop(streams.pop());
            let mut next = client.open().await.unwrap();
            echo(&mut next).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_side_that_accepts_nothing_holds_nothing() {
        let (ours, theirs) = tokio::io::duplex(1024);
        let _client = Connection::client(ours);
        let hostile = Connection::start(theirs, Mode::Server, None);
        let mut stream = hostile.open().await.unwrap();
        stream.write_all(b"x").await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    }

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
