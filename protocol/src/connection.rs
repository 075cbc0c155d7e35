//! Many requests over one byte stream: yamux.

use std::future::poll_fn;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, BufWriter};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _, TokioAsyncReadCompatExt as _};
use yamux::{Config, ConnectionError, Mode};

use crate::GATHERED;

/// Requests at a time; more is a broken or hostile peer.
const STREAMS: usize = 128;
/// Bytes that a peer may make us hold for all requests together.
const WINDOW: usize = 64 * 1024 * 1024;
/// A frame of ours fits into few frames of yamux.
const SPLIT: usize = 128 * 1024;

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
        Self::start(io, Mode::Client)
    }

    /// The side that accepts streams.
    pub fn server(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Self::start(io, Mode::Server)
    }

    fn start(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, mode: Mode) -> Self {
        let mut config = Config::default();
        config.set_max_num_streams(STREAMS);
        config.set_max_connection_receive_window(Some(WINDOW));
        config.set_split_send_size(SPLIT);
        let (open, opens) = mpsc::channel(1);
        let (accepts, accepted) = mpsc::channel(STREAMS);
        // yamux writes header and body of a frame by themselves.
        let io = BufWriter::with_capacity(GATHERED, io);
        let connection = yamux::Connection::new(io.compat(), config, mode);
        let driver = Driver {
            connection,
            opens,
            waiting: None,
            accepts,
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

fn futures_stream(stream: yamux::Stream) -> Stream {
    stream.compat()
}
