//! Accepts connections of hosts: on a unix socket, on vsock, or on standard
//! input and output.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use protocol::Failure;
use protocol::hello::Token;
use tokio::io::{AsyncRead, AsyncWrite, Join, Stdin, Stdout};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_vsock::{VMADDR_CID_ANY, VsockAddr, VsockListener};

use super::session;
use crate::Agent;

/// The most sessions at a time.
const SESSIONS: usize = 256;
/// The pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// The agent cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another agent answers on the socket.
    #[error("another agent answers on {0}")]
    InUse(String),
    /// The agent cannot bind the address.
    #[error("cannot listen on {address}")]
    Listen {
        /// The path of the socket, or the vsock port.
        address: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The only session failed at its start.
    #[error("the session could not begin")]
    Hello(#[from] protocol::hello::HelloError),
}

/// Serves one session on standard input and output. If `agent` is an error, it
/// answers every request with that error.
pub async fn stdio(agent: Result<Arc<Agent>, Failure>) -> Result<(), ServeError> {
    let io = standard();
    match agent {
        Ok(agent) => session::serve(agent, io, None).await?,
        Err(failure) => session::refuse(failure, io).await?,
    }
    Ok(())
}

/// Serves all connections to a unix socket. Only the same user may connect. If
/// there is an idle time, ends after that time without a connection. Calls
/// `listening` when hosts can connect.
pub async fn unix(
    agent: Arc<Agent>,
    path: &Path,
    idle: Option<Duration>,
    listening: impl FnOnce(),
) -> Result<(), ServeError> {
    let listener = bind(path).await?;
    // The kernel reports peers as this process's user namespace maps them.
    let own = rustix::process::geteuid().as_raw();
    listening();
    let accept = async || {
        let (stream, _) = listener.accept().await?;
        Ok(match stream.peer_cred() {
            Ok(peer) if peer.uid() == own => Some(stream),
            peer => {
                tracing::warn!(?peer, "a connection of another user is refused");
                None
            }
        })
    };
    serve_all(agent, None, idle, accept).await;
    Ok(())
}

/// Serves all connections on a vsock port that present the token. If there is
/// an idle time, ends after that time without a connection. Calls `listening`
/// when hosts can connect.
pub async fn vsock(
    agent: Arc<Agent>,
    port: u32,
    token: Token,
    idle: Option<Duration>,
    listening: impl FnOnce(),
) -> Result<(), ServeError> {
    let failed = |source| ServeError::Listen {
        address: format!("vsock port {port}"),
        source,
    };
    let listener = VsockListener::bind(VsockAddr::new(VMADDR_CID_ANY, port)).map_err(failed)?;
    listening();
    let accept = async || {
        let (stream, peer) = listener.accept().await?;
        tracing::debug!(%peer, "vsock");
        Ok(Some(stream))
    };
    serve_all(agent, Some(token), idle, accept).await;
    Ok(())
}

/// Serves all accepted connections, until none has been open for the idle time.
/// Above [`SESSIONS`] connections, further ones wait.
async fn serve_all<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    agent: Arc<Agent>,
    token: Option<Token>,
    idle: Option<Duration>,
    accept: impl AsyncFn() -> io::Result<Option<S>>,
) {
    let mut sessions = JoinSet::new();
    loop {
        let (nobody, has_room) = (sessions.is_empty(), sessions.len() < SESSIONS);
        tokio::select! {
            accepted = accept(), if has_room => match accepted {
                Ok(Some(stream)) => {
                    sessions.spawn(serve_one(Arc::clone(&agent), stream, token.clone()));
                }
                Ok(None) => {}
                // A system without a free descriptor or memory may have some
                // later.
                Err(error) => {
                    tracing::warn!(%error, "a host could not be let in");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(_) = sessions.join_next() => {}
            () = pause(idle), if nobody => return,
        }
    }
}

async fn pause(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

async fn serve_one(
    agent: Arc<Agent>,
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    token: Option<Token>,
) {
    if let Err(error) = session::serve(agent, io, token.as_ref()).await {
        tracing::warn!(%error, "session refused");
    }
}

/// Binds a socket. Replaces the socket of a dead agent, and fails if the agent
/// is alive.
async fn bind(path: &Path) -> Result<UnixListener, ServeError> {
    let address = path.display().to_string();
    if UnixStream::connect(path).await.is_ok() {
        return Err(ServeError::InUse(address));
    }
    let bind = || -> io::Result<UnixListener> {
        use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
        let metadata = fs_err::symlink_metadata(path);
        if metadata.is_ok_and(|metadata| metadata.file_type().is_socket()) {
            fs_err::remove_file(path)?;
        }
        // No other user may connect, not even before the mode is set.
        let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
        let listener = UnixListener::bind(path);
        rustix::process::umask(mask);
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        listener
    };
    bind().map_err(|source| ServeError::Listen { address, source })
}

/// Standard input and output as one stream.
fn standard() -> Join<Stdin, Stdout> {
    tokio::io::join(tokio::io::stdin(), tokio::io::stdout())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::atomic::{AtomicU32, Ordering};

    use protocol::Request;
    use protocol::hello;

    use super::*;
    use crate::Ownership;

    /// Without a descriptor left, accept(2) fails until one is free.
    #[tokio::test]
    async fn an_agent_that_could_not_let_a_host_in_lets_the_next_one_in() {
        let home = tempfile::tempdir().unwrap();
        let agent = Arc::new(Agent::new(home.path(), Ownership::Shared).unwrap());
        let (host, theirs) = tokio::io::duplex(64 * 1024);
        let (attempts, waiting) = (AtomicU32::new(0), std::sync::Mutex::new(Some(theirs)));
        let accept = async || match attempts.fetch_add(1, Ordering::Relaxed) {
            0 => Err(io::Error::from(rustix::io::Errno::MFILE)),
            1 => Ok(waiting.lock().unwrap().take()),
            _ => std::future::pending().await,
        };
        let serving = serve_all(agent, None, None, accept);
        let asking = async {
            let mut host = host;
            let build = protocol::build_id::of_version();
            hello::greet(&mut host, &build, &Token::default())
                .await
                .unwrap();
            let connection = protocol::Connection::client(host);
            let mut stream = connection.open().await.unwrap();
            protocol::frame::write_message(&mut stream, &Request::AgentStatus)
                .await
                .unwrap();
            tokio::io::AsyncWriteExt::flush(&mut stream).await.unwrap();
            protocol::frame::read::<protocol::Event>(&mut stream)
                .await
                .unwrap()
        };
        let answer = tokio::select! {
            () = serving => None,
            answer = asking => answer,
        };
        assert!(answer.is_some());
    }
}
