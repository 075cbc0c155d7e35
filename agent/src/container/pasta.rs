//! Makes a network that reaches what this machine reaches, except services that
//! listen on this machine. pasta (<https://passt.top>) carries the traffic as
//! an ordinary process, without root.

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

/// The name of pasta's program.
const PROGRAM: &str = "pasta";
/// The address of the name server in the network. pasta forwards its queries to
/// the machine's own name server.
const NAME_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 1, 1));
/// The device through which pasta exchanges packets with a namespace.
const TUNNEL: &str = "/dev/net/tun";
/// The longest time until the network works.
const DEADLINE: Duration = Duration::from_secs(10);

/// Runs pasta in a process of its own.
pub(super) static TASK: Task = Task {
    word: "__locald-pasta",
    run: run_here,
};

/// A private network. Dropping it ends pasta.
#[derive(Debug)]
pub struct PrivateNetwork {
    namespace: Arc<OwnedFd>,
    _pasta: Helper,
}

/// A private network could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PrivateNetworkError {
    /// pasta is not installed.
    #[error("a private network needs pasta, which this machine does not have")]
    Missing,
    /// The network namespace could not be made.
    #[error(transparent)]
    Namespace(#[from] NetworkError),
    /// pasta could not be started.
    #[error("pasta cannot be started")]
    Start(#[source] io::Error),
    /// The user may not open the device.
    #[error("a private network needs {TUNNEL}, which this user may not use")]
    Tunnel(#[source] io::Error),
    /// pasta ended during its start.
    #[error("pasta cannot make the private network: {said}")]
    Failed {
        /// The output of pasta.
        said: String,
    },
    /// pasta did not make the network in time.
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

/// The path of pasta. Fails if it is not installed or cannot work.
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
    /// Makes a network. Returns when it works.
    pub async fn start() -> Result<Self, PrivateNetworkError> {
        let program = find()?;
        let namespace = LoopbackNetwork::new(&[])?.namespace;
        let started = Self::spawn(program, &namespace).await;
        let (pasta, log, mut ready) = started.map_err(PrivateNetworkError::Start)?;
        let network = Self {
            namespace,
            _pasta: pasta,
        };
        // pasta writes its process id into the pipe when the network works. The
        // pipe closes if pasta ends.
        let mut id = [0; 1];
        match tokio::time::timeout(DEADLINE, ready.read(&mut id)).await {
            Ok(Ok(1)) => Ok(network),
            Ok(Ok(_)) => {
                // pasta also writes to the system's log, and reports if there
                // is none.
                let mut said = last_lines(&log);
                said.retain(|line| !line.ends_with("to syslog"));
                let said = said.join(" ");
                Err(PrivateNetworkError::Failed { said })
            }
            Ok(Err(error)) => Err(PrivateNetworkError::Start(error)),
            Err(_) => Err(PrivateNetworkError::Deadline),
        }
    }

    /// Starts pasta. Namespace and pipe travel as standard streams, so that no
    /// code runs between fork and exec.
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

    /// The network for a container's specification. It works until `self` is
    /// dropped.
    pub fn network(&self) -> Network {
        Network::Namespace(Namespace {
            descriptor: Arc::clone(&self.namespace),
            name_server: Some(NAME_SERVER),
        })
    }
}

/// Executes pasta in this process. pasta ends with the agent.
fn run_here() -> ! {
    let mut arguments = std::env::args_os().skip(2);
    let agent = arguments.next().and_then(|it| it.to_str()?.parse().ok());
    let failed = match (agent, arguments.next()) {
        (Some(agent), Some(program)) if reexec::die_with(agent).is_ok() => {
            let mut pasta = Command::new(program);
            pasta
                .args(["--config-net", "--foreground", "--quiet"])
                // The agent is root, of the machine or of its user namespace.
                .args(["--runas", "0", "--netns-only", "--netns", "/proc/self/fd/0"])
                .args(["--pid", "/proc/self/fd/1"])
                // No address leads to this machine, and no connection comes in.
                .args(["--no-map-gw", "-t", "none", "-u", "none"])
                .args(["-T", "none", "-U", "none"])
                .args(["--dns-forward", &NAME_SERVER.to_string()]);
            pasta.exec().to_string()
        }
        _ => "the agent has gone".to_owned(),
    };
    // The agent reads this process's standard error.
    let _ = io::Write::write_all(&mut io::stderr(), failed.as_bytes());
    syscall::exit_now(1)
}
