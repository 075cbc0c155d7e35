//! Makes network namespaces: an isolated one for a container, and one that
//! reaches only listeners of the agent.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use super::spec::{Namespace, Network};
use crate::kernel::syscall;

/// A network namespace with only a loopback device and listeners of the agent.
/// It exists as long as a descriptor to it is open.
#[derive(Debug)]
pub struct LoopbackNetwork {
    pub(super) namespace: Arc<OwnedFd>,
    /// A listener for each port, on 127.0.0.1 and, if the machine has IPv6, on
    /// ::1.
    pub listeners: Vec<TcpListener>,
}

/// A network namespace could not be made.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The kernel refuses to make the namespace.
    #[error("no network namespace can be made")]
    Namespace(#[source] io::Error),
    /// The kernel refuses to bring up the loopback device.
    #[error("the loopback device of a new network namespace cannot be brought up")]
    Loopback(#[source] io::Error),
    /// The agent cannot listen on a port in the namespace.
    #[error("port {port} of a new network namespace cannot be listened on")]
    Listen {
        /// The port.
        port: u16,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl From<NetworkError> for protocol::Failure {
    fn from(error: NetworkError) -> Self {
        Self::from_error(protocol::FailureKind::Machine, &error)
    }
}

impl LoopbackNetwork {
    /// Makes a namespace and listens on these ports in it.
    ///
    /// A namespace belongs to a thread, so a separate thread enters it and
    /// ends.
    pub fn new(ports: &[u16]) -> Result<Self, NetworkError> {
        std::thread::scope(|scope| {
            let maker = std::thread::Builder::new().name("network".to_owned());
            let made = maker
                .spawn_scoped(scope, || Self::make_here(ports))
                .map_err(NetworkError::Namespace)?;
            made.join().unwrap_or_else(|_| {
                let panicked = io::Error::other("the thread that makes it panicked");
                Err(NetworkError::Namespace(panicked))
            })
        })
    }

    fn make_here(ports: &[u16]) -> Result<Self, NetworkError> {
        isolate()?;
        let namespace =
            fs_err::File::open("/proc/thread-self/ns/net").map_err(NetworkError::Namespace)?;
        let mut listeners = Vec::new();
        for &port in ports {
            listeners.extend(listen(port)?);
        }
        Ok(Self {
            namespace: Arc::new(namespace.into_parts().0.into()),
            listeners,
        })
    }

    /// The network for a container's specification.
    pub fn network(&self) -> Network {
        Network::Namespace(Namespace {
            descriptor: Arc::clone(&self.namespace),
            name_server: None,
        })
    }
}

/// Moves the calling thread into a new namespace whose loopback device is up.
pub(super) fn isolate() -> Result<(), NetworkError> {
    syscall::unshare(UnshareFlags::NEWNET).map_err(NetworkError::Namespace)?;
    syscall::bring_loopback_up().map_err(NetworkError::Loopback)
}

/// Moves the calling thread into this namespace.
pub(super) fn join(namespace: BorrowedFd<'_>) -> io::Result<()> {
    let network = Some(LinkNameSpaceType::Network);
    Ok(move_into_link_name_space(namespace.as_fd(), network)?)
}

fn listen(port: u16) -> Result<Vec<TcpListener>, NetworkError> {
    let bind = |address: IpAddr| TcpListener::bind((address, port));
    let failed = |source| NetworkError::Listen { port, source };
    let mut listeners = vec![bind(Ipv4Addr::LOCALHOST.into()).map_err(failed)?];
    match bind(Ipv6Addr::LOCALHOST.into()) {
        Ok(listener) => listeners.push(listener),
        Err(error) => tracing::debug!(port, %error, "no IPv6 loopback"),
    }
    Ok(listeners)
}
