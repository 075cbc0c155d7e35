//! Answers the lifecycle's registry requests from the store: OCI distribution
//! specification 1.1, as far as the lifecycle uses it.
//!
//! The registry listens only in the network namespace of a build's phases, and
//! knows only the images of that build. The phases can read the run image and
//! the previous image, and can write the build's own names. What they write
//! stays apart until [`LifecycleRegistry::take_staged`], so a phase that fails
//! leaves no image behind.

mod blobs;
mod manifests;
mod names;
mod reply;
mod routes;
mod scope;
mod tls;
mod uploads;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

pub use names::Names;
pub use scope::Scope;
pub use tls::Identity;

use crate::images::digest::Digest;
use crate::images::reference::ImageRef;
use crate::store::{Descriptor, Store};
use scope::State;

/// First byte of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 22;
/// After a connection could not be accepted, until the next attempt.
const PAUSE: Duration = Duration::from_millis(100);

/// Brings a blob of the run image into the store.
pub type Fetch = Arc<dyn Fn(Digest) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Gets each blob that the lifecycle has written, with its size in bytes.
pub type BlobForwarder = Box<dyn Fn(Digest, u64) + Send + Sync>;

/// What the registry serves.
pub struct RegistryContent {
    /// Holds the blobs that are read, and gets those that are written.
    pub store: Store,
    /// The images that the lifecycle may read and write.
    pub scope: Scope,
    /// For blobs that the store lacks.
    pub fetch: Fetch,
    /// Pushes blobs on, in a build with `--publish`.
    pub blob_forwarder: Option<BlobForwarder>,
}

/// A running registry; it ends when it is dropped.
pub struct LifecycleRegistry {
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

impl LifecycleRegistry {
    /// Answers on listeners that are bound already.
    pub fn start(
        listeners: Vec<TcpListener>,
        identity: &Identity,
        content: RegistryContent,
    ) -> std::io::Result<Self> {
        let state = Arc::new(State::new(content));
        let mut tasks = JoinSet::new();
        for listener in listeners {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let (state, acceptor) = (Arc::clone(&state), identity.acceptor());
            tasks.spawn(async move {
                let mut connections = JoinSet::new();
                loop {
                    match listener.accept().await {
                        Ok((stream, _)) => {
                            let (state, acceptor) = (Arc::clone(&state), acceptor.clone());
                            connections.spawn(serve(stream, acceptor, state));
                        }
                        // Without a descriptor left this fails at once, again
                        // and again.
                        Err(error) => {
                            tracing::debug!(%error, "the lifecycle's registry cannot accept");
                            tokio::time::sleep(PAUSE).await;
                        }
                    }
                    while connections.try_join_next().is_some() {}
                }
            });
        }
        Ok(Self {
            state,
            _tasks: tasks,
        })
    }

    /// The images that were pushed, each with its manifest.
    pub fn take_staged(&self) -> Vec<(ImageRef, Descriptor)> {
        self.state.take_staged()
    }
}

/// Serves one connection, with TLS or without: clients speak plain HTTP to
/// names that mean this machine.
async fn serve(stream: TcpStream, acceptor: tokio_rustls::TlsAcceptor, state: Arc<State>) {
    // Head and body of an answer are written one after the other: without
    // this the body waits for the client's delayed acknowledgement, 40 ms.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection of the lifecycle's registry");
    }
    let mut first = [0];
    let result = match stream.peek(&mut first).await {
        Ok(1) if first[0] == TLS_HANDSHAKE => match acceptor.accept(stream).await {
            Ok(stream) => serve_http(stream, state).await,
            Err(error) => Err(error.into()),
        },
        Ok(_) => serve_http(stream, state).await,
        Err(error) => Err(error.into()),
    };
    if let Err(error) = result {
        tracing::debug!(error, "a connection of the lifecycle's registry ended");
    }
}

async fn serve_http(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    state: Arc<State>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, std::convert::Infallible>(routes::route(&state, request).await) }
    });
    auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
}
