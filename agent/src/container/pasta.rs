//! Makes a network that reaches what this machine reaches, except for services
//! that listen on this machine: pasta (<https://passt.top>) carries it as an
//! ordinary process, without root.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use protocol::{Failure, FailureKind};
use rustix::fs::MemfdFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::getpid;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

use super::network::{LoopbackNetwork, NetworkError};
use super::process::{Helper, last_lines};
use super::spec::{Namespace, Network};
use crate::kernel::reexec::{self, Task};
use crate::kernel::syscall;

/// As its package installs it.
const PROGRAM: &str = "pasta";
/// Where the network's name server is: pasta asks the machine's own for it.
const NAME_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 1, 1));
/// What carries a network into a namespace.
const TUNNEL: &str = "/dev/net/tun";
/// The network is there in this time, or never.
const DEADLINE: Duration = Duration::from_secs(10);

/// Carries a private network, in a process of its own.
pub(super) static TASK: Task = Task {
    word: "__locald-pasta",
    run: run_here,
};

/// A network that works until it is dropped.
#[derive(Debug)]
pub struct PrivateNetwork {
    namespace: Arc<OwnedFd>,
    _pasta: Helper,
}

/// Why there is no such network.
#[derive(Debug, thiserror::Error)]
pub enum PrivateNetworkError {
    /// pasta is not installed.
    #[error("a private network needs pasta, which this machine does not have")]
    Missing,
    /// No namespace.
    #[error(transparent)]
    Namespace(#[from] NetworkError),
    /// It cannot be started.
    #[error("pasta cannot be started")]
    Start(#[source] io::Error),
    /// Its device is not this user's.
    #[error("a private network needs {TUNNEL}, which this user may not use")]
    Tunnel(#[source] io::Error),
    /// It ended at once.
    #[error("pasta cannot make the private network: {said}")]
    Failed {
        /// Its own words.
        said: String,
    },
    /// It does nothing.
    #[error("pasta did not make the private network within {} s", DEADLINE.as_secs())]
    Deadline,
}

impl From<PrivateNetworkError> for Failure {
    fn from(error: PrivateNetworkError) -> Self {
        let failure = Self::from_error(FailureKind::Machine, &error);
        match error {
            PrivateNetworkError::Missing => failure.with_hint(
                "install it (apt install passt), or give the build `--network host` or `none`",
            ),
            PrivateNetworkError::Tunnel(_) => failure
                .with_hint("sudo chmod 0666 /dev/net/tun, which is the mode that udev gives it"),
            _ => failure,
        }
    }
}

/// Where pasta is, if it is installed and can work.
pub(crate) fn find() -> Result<PathBuf, PrivateNetworkError> {
    let program = which::which(PROGRAM).map_err(|_| PrivateNetworkError::Missing)?;
    let tunnel = fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .open(TUNNEL);
    tunnel.map_err(PrivateNetworkError::Tunnel)?;
    Ok(program)
}

impl PrivateNetwork {
    /// Makes a network; returns when it works.
    pub async fn start() -> Result<Self, PrivateNetworkError> {
        let program = find()?;
        let namespace = LoopbackNetwork::new(&[])?.namespace;
        let started = Self::spawn(program, &namespace).await;
        let (pasta, log, mut ready) = started.map_err(PrivateNetworkError::Start)?;
        let network = Self {
            namespace,
            _pasta: pasta,
        };
        // It writes its process id when the network works; what it writes to
        // closes when it ends.
        let mut id = [0; 1];
        match tokio::time::timeout(DEADLINE, ready.read(&mut id)).await {
            Ok(Ok(1)) => Ok(network),
            Ok(Ok(_)) => {
                // It writes to the system's log, too, and reports if there is none.
                let mut said = last_lines(&log);
                said.retain(|line| !line.ends_with("to syslog"));
                let said = said.join(" ");
                Err(PrivateNetworkError::Failed { said })
            }
            Ok(Err(error)) => Err(PrivateNetworkError::Start(error)),
            Err(_) => Err(PrivateNetworkError::Deadline),
        }
    }

    /// Namespace and pipe travel as standard streams, so that no code runs
    /// between fork and exec.
    async fn spawn(
        program: PathBuf,
        namespace: &OwnedFd,
    ) -> io::Result<(Helper, File, pipe::Receiver)> {
        let (ready, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
        let log = File::from(rustix::fs::memfd_create("pasta-log", MemfdFlags::CLOEXEC)?);
        let mut command = reexec::command(&TASK);
        command
            .arg(getpid().as_raw_pid().to_string())
            .arg(program)
            .stdin(namespace.try_clone()?)
            .stdout(theirs)
            .stderr(log.try_clone()?)
            .process_group(0);
        let pasta = Helper::spawn(command).await?;
        Ok((pasta, log, pipe::Receiver::from_owned_fd(ready)?))
    }

    /// The network for a container's specification. It works as long as `self`
    /// lives.
    pub fn network(&self) -> Network {
        Network::Namespace(Namespace {
            descriptor: Arc::clone(&self.namespace),
            name_server: Some(NAME_SERVER),
        })
    }
}

/// Becomes pasta, which dies with the agent.
fn run_here() -> ! {
    let mut arguments = std::env::args_os().skip(2);
    let agent = arguments.next().and_then(|it| it.to_str()?.parse().ok());
    let failed = match (agent, arguments.next()) {
        (Some(agent), Some(program)) if reexec::die_with(agent).is_ok() => {
            let mut pasta = Command::new(program);
            pasta
                .args(["--config-net", "--foreground", "--quiet"])
                // The agent is root of its user namespace, or of all.
                .args(["--runas", "0", "--netns-only", "--netns", "/proc/self/fd/0"])
                .args(["--pid", "/proc/self/fd/1"])
                // Nothing of this machine is in it, and nobody comes in.
                .args(["--no-map-gw", "-t", "none", "-u", "none"])
                .args(["-T", "none", "-U", "none"])
                .args(["--dns-forward", &NAME_SERVER.to_string()]);
            pasta.exec().to_string()
        }
        _ => "the agent has gone".to_owned(),
    };
    // Its standard error is read by the agent.
    let _ = io::Write::write_all(&mut io::stderr(), failed.as_bytes());
    syscall::exit_now(1)
}
