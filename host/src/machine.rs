//! The machine in which the agent works: this process, a virtual machine that
//! locald manages, or a machine that another program or the user manages.
//!
//! [`Machine`] is the interface: locald can start, reach, inspect, stop and
//! remove a machine. It knows nothing of builds. Each kind has its own module.

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
use std::future::ready;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
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

/// How long each question about a machine's status may take.
pub(crate) const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// The future of an operation on a machine.
pub(crate) type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What locald manages of a machine, and may remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nothing: the machine is this process, or another program manages the
    /// agent.
    Nothing,
    /// The agent and its store, on a machine of the user's.
    Agent,
    /// The whole machine.
    Machine,
}

/// A machine in which an agent works. The module of each kind implements it,
/// and [`choose`] selects one.
///
/// The defaults are those of a kind that locald does not start, stop or resize.
pub(crate) trait Machine: fmt::Debug + fmt::Display {
    /// Does the work that needs a process with one thread.
    fn prepare(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Whether the machine's network and files differ from this system's.
    fn is_remote(&self) -> bool {
        true
    }

    /// Returns what locald manages of it.
    fn kept(&self) -> Kept {
        Kept::Nothing
    }

    /// Connects with the agent. Starts the machine if it does not run, and
    /// replaces an agent of another build.
    fn connect<'a>(
        &'a self,
        printer: &'a mut Printer,
    ) -> Pending<'a, Result<AgentConnection, Failure>>;

    /// Returns the status. Changes nothing.
    fn status(&self) -> Pending<'_, Status>;

    /// Runs a shell or a command without the agent. Returns its exit code.
    /// Returns `None` if only the agent can run it.
    fn shell(&self, _command: &[String]) -> Option<Result<u8, Failure>> {
        None
    }

    /// Stops the machine without its agent, at once if `now`. The inner value
    /// is the number of bytes that its disk gave back; `None` if the machine
    /// did not run. The outer value is `None` for a kind whose agent stops its
    /// machine.
    fn stop<'a>(
        &'a self,
        _now: bool,
        _printer: &'a mut Printer,
    ) -> Option<Pending<'a, Result<Option<u64>, Failure>>> {
        None
    }

    /// Waits until the machine has stopped, after a request to its agent.
    fn stopped(&self) -> Pending<'_, Result<(), Failure>> {
        done()
    }

    /// Kills the machine.
    fn kill(&self) -> Pending<'_, Result<(), Failure>> {
        done()
    }

    /// Returns the size of the machine, if locald decides on its processors,
    /// memory and disk.
    fn shape(&self) -> Option<&Shape> {
        None
    }

    /// Stores another size. It applies from the next start.
    fn resize(&self, _shape: &Shape) -> Result<(), Failure> {
        Ok(())
    }

    /// Whether locald decides on the size of the disk only.
    fn resizes_disk_alone(&self) -> bool {
        false
    }

    /// Resizes the disk of a stopped machine. `disk` is in bytes.
    fn resize_disk(&self, _disk: u64) -> Pending<'_, Result<(), Failure>> {
        done()
    }

    /// Returns the file that holds the machine's disk.
    fn disk(&self) -> Option<PathBuf> {
        None
    }

    /// Removes a stopped machine, or the agent, with everything in it.
    fn remove(&self) -> Pending<'_, Result<(), Failure>> {
        done()
    }

    /// Returns the log files of the machine, oldest first.
    fn logs(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Checks whether this system has everything that the machine needs.
    fn doctor(&self) -> Pending<'_, Vec<Check>> {
        Box::pin(ready(Vec::new()))
    }
}

/// An operation without work.
fn done() -> Pending<'static, Result<(), Failure>> {
    Box::pin(ready(Ok(())))
}

/// Selects the machine. Precedence: the command line, `LOCALD_AGENT`,
/// `LOCALD_MACHINE`, the configuration, the default of this system.
pub(crate) fn choose(
    flag: Option<&MachineKind>,
    table: &MachineTable,
    home: &Home,
) -> Result<Box<dyn Machine>, Failure> {
    let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    if flag.is_none()
        && let Some(text) = variable(address::VARIABLE)
    {
        return Ok(Box::new(text.parse::<Address>()?));
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
        MachineKind::Auto | MachineKind::InProcess => Box::new(in_process::InProcess),
        MachineKind::Lima => Box::new(lima::Lima::new(table.shape(), home)),
        MachineKind::Ssh(destination) => Box::new(ssh::Ssh::new(&destination)),
        MachineKind::Qemu => Box::new(qemu::Qemu::new(table.shape(), home)?),
        MachineKind::Wsl2 => Box::new(wsl2::Wsl2::new(table.shape().local_guest()?, home)),
    })
}

/// Returns how many bytes the machine's disk takes on this system.
pub(crate) fn disk_usage(machine: &dyn Machine) -> u64 {
    machine.disk().as_deref().map_or(0, disk::usage)
}

/// Why the agent cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MachineError {
    /// This system does not support this kind of machine.
    #[cfg_attr(
        target_os = "linux",
        expect(dead_code, reason = "Linux has all of them")
    )]
    #[error("{0} works on Linux only")]
    NotHere(&'static str),
    /// The agent failed to start in this process.
    #[error("the agent cannot start")]
    Start(Failure),
    /// No agent listens at the address.
    #[error("cannot connect to the agent at {address}")]
    Connect {
        /// Path, port or command of the agent.
        address: String,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The peer is not a usable agent.
    #[error(transparent)]
    Agent(#[from] AgentError),
}

/// Runs a hidden task, if this process was started for one. Returns whether it
/// did. Call it before any thread starts.
pub(crate) fn dispatch() -> bool {
    in_process::dispatch();
    qemu::dispatch()
}

/// Checks that this process may start the threads that it needs.
pub(crate) fn check_threads() -> Result<(), Failure> {
    in_process::check_threads()
}

/// Returns the output of a program after a colon. Empty for no output.
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
