//! The machine whose agent does the work: this process, a virtual machine that
//! locald looks after, or somebody else's machine.
//!
//! A machine can be started, reached, looked at, stopped and removed. It knows
//! nothing of builds.

mod address;
mod agent_file;
mod clock;
mod disk;
#[cfg(target_os = "linux")]
mod in_process;
#[cfg(not(target_os = "linux"))]
#[path = "machine/in_process_unsupported.rs"]
mod in_process;
mod lima;
#[cfg(target_os = "linux")]
mod qemu;
#[cfg(not(target_os = "linux"))]
#[path = "machine/qemu_unsupported.rs"]
mod qemu;
mod size;
mod spawn;
mod ssh;
mod status;
mod step;
mod wsl2;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use protocol::event::Check;
use protocol::{Failure, FailureKind};

use crate::connection::agent::{AgentConnection, AgentError};
use crate::output::Printer;
use crate::platform::home::Home;
use crate::settings::{MACHINE_VARIABLE, MachineKind, MachineTable, Shape};

use address::Address;
#[cfg_attr(windows, expect(unused_imports, reason = "there are no jobs"))]
pub(crate) use in_process::{resume, suspend};
pub(crate) use status::Status;

/// How long a question may wait for its answer when a machine is looked at.
pub(crate) const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// Whose agent does the work.
#[derive(Debug)]
pub(crate) enum Machine {
    /// This process; Linux only.
    InProcess,
    /// An agent that somebody else looks after.
    Agent(Address),
    /// A virtual machine of QEMU's; Linux only.
    Qemu(Box<qemu::Qemu>),
    /// A virtual machine of lima's.
    Lima(lima::Lima),
    /// A distribution of WSL2; Windows only.
    Wsl2(wsl2::Wsl2),
    /// A Linux machine that ssh reaches.
    Ssh(ssh::Ssh),
}

/// The agent cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MachineError {
    /// This system has no such machine.
    #[cfg_attr(
        target_os = "linux",
        expect(dead_code, reason = "Linux has all of them")
    )]
    #[error("{0} works on Linux only")]
    NotHere(&'static str),
    /// The agent's own start has failed.
    #[error("the agent cannot start")]
    Start(Failure),
    /// Nobody listens.
    #[error("cannot connect to the agent at {address}")]
    Connect {
        /// Path, port or command.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something listens, but is of no use.
    #[error(transparent)]
    Agent(#[from] AgentError),
}

/// Does a hidden task, when this process was started for one; returns whether
/// it was. Call it before any thread starts.
pub(crate) fn dispatch() -> bool {
    in_process::dispatch();
    qemu::dispatch()
}

/// Whether this process may start the threads that it needs.
pub(crate) fn check_threads() -> Result<(), Failure> {
    in_process::check_threads()
}

impl Machine {
    /// What the command line names, else `LOCALD_AGENT`, else
    /// `LOCALD_MACHINE`, else the configuration, else the usual one of this
    /// system.
    pub(crate) fn choose(
        flag: Option<&MachineKind>,
        table: &MachineTable,
        home: &Home,
    ) -> Result<Self, Failure> {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        if flag.is_none()
            && let Some(text) = variable(address::VARIABLE)
        {
            return Ok(Self::Agent(text.parse::<Address>()?));
        }
        let kind = match (flag, variable(MACHINE_VARIABLE)) {
            (Some(kind), _) => kind.clone(),
            (None, Some(text)) => text.parse::<MachineKind>()?,
            (None, None) => table.kind.clone().unwrap_or_default(),
        };
        let kind = match kind {
            MachineKind::Auto => MachineKind::usual(),
            kind => kind,
        };
        Ok(match kind {
            MachineKind::Auto | MachineKind::InProcess => Self::InProcess,
            MachineKind::Lima => Self::lima(table, home),
            MachineKind::Ssh(destination) => Self::Ssh(ssh::Ssh::new(&destination)),
            MachineKind::Qemu => Self::Qemu(Box::new(qemu::Qemu::new(table.shape(), home)?)),
            MachineKind::Wsl2 => Self::Wsl2(wsl2::Wsl2::new(table.shape().local_guest()?, home)),
        })
    }

    fn lima(table: &MachineTable, home: &Home) -> Self {
        Self::Lima(lima::Lima::new(table.shape(), home))
    }

    /// What must be done before this process has a second thread.
    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        match self {
            Self::InProcess => in_process::prepare(),
            Self::Agent(_) | Self::Qemu(_) | Self::Lima(_) | Self::Wsl2(_) | Self::Ssh(_) => Ok(()),
        }
    }

    /// Whether its network and its files are others than this system's.
    pub(crate) fn is_remote(&self) -> bool {
        match self {
            Self::InProcess => false,
            Self::Agent(address) => address.is_remote,
            Self::Qemu(_) | Self::Lima(_) | Self::Wsl2(_) | Self::Ssh(_) => true,
        }
    }

    /// Reaches the agent; a machine that does not run is started, an agent of
    /// another build replaced.
    pub(crate) async fn connect(&self, printer: &mut Printer) -> Result<AgentConnection, Failure> {
        match self {
            Self::InProcess => Ok(in_process::connect().await?),
            Self::Agent(address) => Ok(address.connect().await?),
            Self::Qemu(qemu) => qemu.connect(printer).await,
            Self::Lima(lima) => lima.connect(printer).await,
            Self::Wsl2(wsl) => wsl.connect(printer).await,
            Self::Ssh(ssh) => Ok(ssh.connect(printer).await?),
        }
    }

    /// Looks at the machine without changing anything.
    pub(crate) async fn status(&self) -> Status {
        match self {
            Self::InProcess => Status::at(in_process::connect().await.map_err(Failure::from)),
            Self::Agent(address) => Status::at(address.connect().await.map_err(Failure::from)),
            Self::Qemu(qemu) => qemu.status().await,
            Self::Lima(lima) => lima.status().await,
            Self::Wsl2(wsl) => wsl.status().await,
            Self::Ssh(ssh) => ssh.status().await,
        }
    }

    /// Waits until a machine that was asked to stop has stopped, where it is
    /// one that locald starts and stops.
    pub(crate) async fn stopped(&self) -> Result<(), Failure> {
        match self {
            Self::Qemu(qemu) => qemu.stopped().await,
            Self::Lima(lima) => lima.stopped().await,
            Self::InProcess | Self::Agent(_) | Self::Wsl2(_) | Self::Ssh(_) => Ok(()),
        }
    }

    /// Ends a machine at once, whatever it does.
    pub(crate) async fn kill(&self) -> Result<(), Failure> {
        match self {
            Self::Qemu(qemu) => qemu.kill().await,
            Self::Lima(lima) => lima.kill().await,
            Self::Wsl2(wsl) => wsl.kill().await,
            Self::InProcess | Self::Agent(_) | Self::Ssh(_) => Ok(()),
        }
    }

    /// Its size, where it is a virtual machine that locald makes.
    pub(crate) fn shape(&self) -> Option<&Shape> {
        match self {
            Self::Qemu(qemu) => Some(qemu.shape()),
            Self::Lima(lima) => Some(lima.shape()),
            Self::InProcess | Self::Agent(_) | Self::Wsl2(_) | Self::Ssh(_) => None,
        }
    }

    /// Bytes that a virtual machine's disk takes here.
    pub(crate) fn disk_usage(&self) -> u64 {
        self.disk().as_deref().map_or(0, disk::usage)
    }

    /// The file that grows with what is in a virtual machine.
    fn disk(&self) -> Option<PathBuf> {
        match self {
            Self::Qemu(qemu) => Some(qemu.disk()),
            Self::Lima(lima) => Some(lima.disk()),
            Self::Wsl2(wsl) => Some(wsl.disk()),
            Self::InProcess | Self::Agent(_) | Self::Ssh(_) => None,
        }
    }

    /// Remembers another size, which it has after its next start.
    pub(crate) fn resize(&self, shape: &Shape) -> Result<(), Failure> {
        match self {
            Self::Qemu(qemu) => qemu.resize(shape),
            Self::Lima(lima) => lima.resize(shape),
            Self::InProcess | Self::Agent(_) | Self::Wsl2(_) | Self::Ssh(_) => Ok(()),
        }
    }

    /// Removes a stopped machine and all that is in it.
    pub(crate) async fn remove(&self) -> Result<(), Failure> {
        match self {
            Self::Qemu(qemu) => qemu.remove().await,
            Self::Lima(lima) => lima.remove().await,
            Self::Wsl2(wsl) => wsl.remove().await,
            Self::Ssh(ssh) => Ok(ssh.remove().await?),
            Self::InProcess | Self::Agent(_) => Ok(()),
        }
    }

    /// What the machine itself has written, oldest file first.
    pub(crate) fn logs(&self) -> Vec<PathBuf> {
        match self {
            Self::Qemu(qemu) => qemu.logs(),
            Self::Lima(lima) => lima.logs(),
            Self::InProcess | Self::Agent(_) | Self::Wsl2(_) | Self::Ssh(_) => Vec::new(),
        }
    }

    /// What this system lacks for such a machine.
    pub(crate) async fn doctor(&self) -> Vec<Check> {
        match self {
            Self::InProcess | Self::Agent(_) => Vec::new(),
            Self::Qemu(qemu) => qemu.doctor(),
            Self::Lima(lima) => lima.doctor().await,
            Self::Wsl2(wsl) => wsl.doctor().await,
            Self::Ssh(_) => ssh::checks(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InProcess => f.write_str("in this process"),
            Self::Agent(address) => address.fmt(f),
            Self::Qemu(_) => f.write_str("qemu"),
            Self::Lima(_) => f.write_str("lima"),
            Self::Wsl2(_) => f.write_str("wsl2"),
            Self::Ssh(ssh) => ssh.fmt(f),
        }
    }
}

/// What a program said, after a colon; nothing when it said nothing.
fn colon(said: &str) -> String {
    if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    }
}

impl From<Failure> for MachineError {
    fn from(failure: Failure) -> Self {
        Self::Start(failure)
    }
}

impl From<MachineError> for Failure {
    fn from(error: MachineError) -> Self {
        match error {
            MachineError::Start(failure) => failure,
            error => Self::from_error(FailureKind::Machine, &error),
        }
    }
}
