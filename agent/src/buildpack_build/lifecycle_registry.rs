//! Answers the lifecycle's registry requests from the store: OCI distribution
//! specification 1.1, as far as the lifecycle uses it.
//!
//! The registry listens only in the network namespace of a build's phases, and
//! serves only the images of that build. The phases can read the run image and
//! the previous image, and can write the build's own references. Their
//! manifests stay staged until [`LifecycleRegistry::take_staged`], so a failed
//! phase leaves no image behind.

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
/// The pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// A callback that fetches a blob of the run image into the store.
pub type Fetch = Arc<dyn Fn(Digest) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// A callback for each blob that the lifecycle has written. Gets its digest and
/// its size in bytes.
pub type BlobForwarder = Box<dyn Fn(Digest, u64) + Send + Sync>;

/// The content of the registry.
pub struct RegistryContent {
    /// The store for reads and writes of blobs.
    pub store: Store,
    /// The images that the lifecycle may read and write.
    pub scope: Scope,
    /// Fetches blobs that the store lacks.
    pub fetch: Fetch,
    /// Pushes blobs to the target's registry, in a build with `--publish`.
    pub blob_forwarder: Option<BlobForwarder>,
}

/// A running registry. Dropping it stops it.
pub struct LifecycleRegistry {
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

impl LifecycleRegistry {
    /// Starts to serve on listeners that are already bound.
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
                        // Without a free descriptor, accept fails again at
                        // once.
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

    /// Removes and returns the pushed images, each with its manifest.
    pub fn take_staged(&self) -> Vec<(ImageRef, Descriptor)> {
        self.state.take_staged()
    }
}

/// Serves one connection, with or without TLS. Clients use plain HTTP for hosts
/// on this machine.
async fn serve(stream: TcpStream, acceptor: tokio_rustls::TlsAcceptor, state: Arc<State>) {
    // Head and body of a response are separate writes. With Nagle's algorithm
    // the body would wait 40 ms for the client's delayed acknowledgement.
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
