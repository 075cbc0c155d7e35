//! Runs the runner: one process with one thread for one container.
//!
//! It holds all mounts of the container in a mount namespace of its own, below
//! one tmpfs. They disappear when the runner ends.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, WaitOptions, getpid, pidfd_open, waitpid};
use rustix::thread::UnshareFlags;

mod bundle;
mod error;
mod executor;
mod idmap;
mod log;
mod mounts;
mod oci;
mod overlay;
mod root;

use super::message::{self, InitMessage, Report, RunnerConfig, Start};
use super::spec::Network;
use super::{ExitCode, network};
use crate::kernel::reexec::{self, Task};
use crate::kernel::{limits, namespace, syscall};
use bundle::Bundle;
use error::RunnerError;
use log::Log;

/// The descriptors of the configuration's message.
#[derive(Debug, Default)]
struct InheritedFds {
    /// Standard input, output and error; empty with a terminal.
    pipes: Vec<OwnedFd>,
    namespace: Option<OwnedFd>,
}

/// Starts a container and waits for its end.
pub(super) static TASK: Task = Task {
    word: "__locald-container",
    run: run_here,
};

/// Runs a runner, reports to the agent, and ends the process.
fn run_here() -> ! {
    let Ok(control) = take_control() else {
        // No agent started this process, so there is no receiver for a report.
        syscall::exit_now(1);
    };
    let report = match run(&control) {
        Ok(code) => Report::Ended { code },
        Err(error) => Report::Failed(error.into_setup_error()),
    };
    // This fails if the agent is gone, which needs no report.
    let _ = message::send(&control, &report, &[]);
    syscall::exit_now(0)
}

/// Takes the socket to the agent, which is standard input. So the agent can
/// pass it without code between fork and exec.
fn take_control() -> io::Result<OwnedFd> {
    let control = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let null = File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    Ok(control)
}

fn run(control: &OwnedFd) -> Result<u8, RunnerError> {
    syscall::assert_single_thread().map_err(RunnerError::Threads)?;
    let (config, inherited) = receive_config(control).map_err(RunnerError::RunnerConfig)?;
    reexec::die_with(config.agent).map_err(RunnerError::RunnerConfig)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    limits::raise_oom_score();
    let log = Log::start().map_err(RunnerError::Log)?;

    enter_network(&config, inherited.namespace)?;
    syscall::unshare(UnshareFlags::NEWNS | UnshareFlags::NEWCGROUP)
        .map_err(RunnerError::MountNamespace)?;
    namespace::make_mounts_private().map_err(RunnerError::MountNamespace)?;
    let bundle = Bundle::make(&config)?;

    let (init_socket, theirs) = message::pair().map_err(RunnerError::InitMessage)?;
    let init = executor::start(&config, &bundle, inherited.pipes, theirs, &log)?;
    let process = pidfd_open(init, PidfdFlags::empty())
        .map_err(|error| RunnerError::InitMessage(error.into()))?;
    await_start(control)?;
    // Keeps the mount namespace open, because its removal takes time, until the
    // end.
    let _own = File::open("/proc/self/ns/mnt").map_err(RunnerError::MountNamespace)?;
    mounts::mount_late(&config, &config.scratch, &process)?;
    // This fails if the payload has failed before. It has reported the reason.
    let _ = message::send(&init_socket, &Start, &[]);
    let terminal = await_payload(&init_socket)?;
    let mut descriptors = vec![process.as_fd()];
    descriptors.extend(terminal.as_ref().map(AsFd::as_fd));
    message::send(control, &Report::Started, &descriptors).map_err(RunnerError::InitMessage)?;
    drop((init_socket, terminal));
    wait_for(init)
}

fn receive_config(control: &OwnedFd) -> io::Result<(RunnerConfig, InheritedFds)> {
    let gone = || io::Error::other("the agent has gone");
    let ((), descriptors) = message::receive(control)?.ok_or_else(gone)?;
    let mut descriptors = descriptors.into_iter();
    let mut file = File::from(descriptors.next().ok_or_else(gone)?);
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let config: RunnerConfig = serde_json::from_slice(&bytes)?;
    let pipes = if config.terminal.is_none() { 3 } else { 0 };
    let inherited = InheritedFds {
        pipes: descriptors.by_ref().take(pipes).collect(),
        namespace: descriptors.next(),
    };
    Ok((config, inherited))
}

/// Waits until the agent permits the payload to run.
fn await_start(control: &OwnedFd) -> Result<(), RunnerError> {
    match message::receive(control).map_err(RunnerError::RunnerConfig)? {
        Some((Start, _)) => Ok(()),
        None => Err(RunnerError::RunnerConfig(io::Error::other(
            "the agent has gone",
        ))),
    }
}

fn enter_network(config: &RunnerConfig, namespace: Option<OwnedFd>) -> Result<(), RunnerError> {
    match (config.network, namespace) {
        (Network::Host, _) => Ok(()),
        (Network::None, _) => Ok(network::isolate()?),
        (Network::Namespace(()), Some(namespace)) => {
            network::join(namespace.as_fd()).map_err(RunnerError::JoinNetwork)
        }
        (Network::Namespace(()), None) => Err(RunnerError::JoinNetwork(io::Error::other(
            "no namespace came with the configuration",
        ))),
    }
}

/// Waits until the payload is executed. Returns the terminal's master.
fn await_payload(init_socket: &OwnedFd) -> Result<Option<OwnedFd>, RunnerError> {
    let mut terminal = None;
    while let Some((message, descriptors)) =
        message::receive(init_socket).map_err(RunnerError::InitMessage)?
    {
        match message {
            InitMessage::Terminal => terminal = descriptors.into_iter().next(),
            InitMessage::Failed(error) => return Err(RunnerError::Init(error)),
        }
    }
    Ok(terminal)
}

fn wait_for(init: Pid) -> Result<u8, RunnerError> {
    loop {
        match waitpid(Some(init), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(ExitCode::of(status).0),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(RunnerError::Wait(error.into())),
        }
    }
}

/// A process descriptor of the runner, which its init watches.
fn own_process() -> io::Result<OwnedFd> {
    Ok(pidfd_open(getpid(), PidfdFlags::empty())?)
}
