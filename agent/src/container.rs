//! Runs containers.
//!
//! libcontainer must not run in a process with several threads, such as the
//! agent. A fresh execution of this program, the *runner*, starts each
//! container. It has one thread and an empty environment. The runner mounts the
//! root file system in a mount namespace of its own, so nothing remains when it
//! ends. libcontainer then makes the container's namespaces. Their first
//! process is locald's *init*. Init starts the program of the container, the
//! *payload*, in a nested user namespace, without any capability and with a
//! system call filter. Then it waits for the payload.
//!
//! Death signals connect agent, runner and init: when one of them dies, the
//! container dies.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Signal as SystemSignal, WaitStatus};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tracing::Instrument;

mod config;
pub mod error;
mod files;
mod init;
mod interpreter;
mod landlock;
mod message;
pub mod network;
pub mod pasta;
pub mod pause;
mod payload;
mod process;
mod runner;
mod seccomp;
pub mod spec;
pub mod stdio;

pub use error::ContainerError;
pub use landlock::is_available as has_scopes;
pub(crate) use message::TerminalSize;
pub use protocol::input::Signal;
pub use spec::{Access, ContainerSpec, Mount, MountKind, Namespace, Network, Upper, User};
pub use stdio::{ContainerInput, ContainerOutput};
pub(crate) use stdio::{Pipes, Terminal};

use config::Prepared;
use error::Chain;
use message::{Report, Start};
use process::Runner;

use crate::kernel::reexec::Task;
use crate::kernel::syscall;

/// The hidden tasks for containers: this program executes itself for them.
pub(crate) static TASKS: [&Task; 2] = [&runner::TASK, &pasta::TASK];

/// The exit code of a payload, or 128 + the signal that killed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode(pub u8);

impl ExitCode {
    fn of(status: WaitStatus) -> Self {
        let signal = status.terminating_signal().map(|signal| 128 + signal);
        let code = status.exit_status().or(signal).unwrap_or(255);
        Self(u8::try_from(code).unwrap_or(255))
    }
}

/// A running container. Dropping it kills all its processes.
#[derive(Debug)]
pub struct Container {
    id: String,
    runner: Runner,
    control: AsyncFd<OwnedFd>,
    stdin: Option<ContainerInput>,
    stdout: Option<ContainerOutput>,
    stderr: Option<ContainerOutput>,
    terminal: Option<Terminal>,
    stop_signal: SystemSignal,
    ended: Option<ExitCode>,
}

/// A container that is ready to start. Dropping it removes it.
#[derive(Debug)]
pub struct Created {
    container: Container,
    program: String,
    cwd: PathBuf,
}

impl Created {
    /// Starts the program. Returns when the kernel has executed it.
    ///
    /// # Errors
    ///
    /// The step that failed: see [`ContainerError`]. A program that cannot be
    /// executed is [`ContainerError::Program`] or
    /// [`ContainerError::Interpreter`]. The container is then removed.
    pub async fn start(self) -> Result<Container, ContainerError> {
        let Self {
            mut container,
            program,
            cwd,
        } = self;
        let span = tracing::info_span!("container", id = container.id);
        let wait_started = async {
            let told = message::send(container.control.get_ref(), &Start, &[]);
            // The report or the log of an ended runner has the reason.
            if let Err(error) = told {
                tracing::debug!(%error, "the runner does not listen");
            }
            container.wait_started(&program, &cwd).await
        };
        wait_started.instrument(span).await?;
        Ok(container)
    }
}

impl Container {
    /// Prepares a container: a runner mounts its root file system and makes its
    /// namespaces, while the caller does other work. [`Created::start`] makes
    /// the mounts that no other container may have at the same time, and
    /// executes the program.
    ///
    /// `state` is a directory of the agent's, on any file system, in which the
    /// container makes an empty directory as a mount point. It stays private to
    /// the agent.
    ///
    /// # Errors
    ///
    /// [`ContainerError::Refused`] if [`ContainerSpec::validate`] refuses
    /// `spec`; [`ContainerError::State`] if `state` cannot be used;
    /// [`ContainerError::Streams`] without pipes; [`ContainerError::Runner`] if
    /// no runner starts. Every later failure is an error of [`Created::start`].
    pub async fn create(spec: ContainerSpec, state: &Path) -> Result<Created, ContainerError> {
        spec.validate()?;
        let prepared = Prepared::new(next_id(), &spec, state)?;
        let (control, theirs) = message::pair().map_err(ContainerError::Runner)?;
        prepared.send(&control).map_err(ContainerError::Runner)?;
        let runner = Runner::spawn(theirs)
            .await
            .map_err(ContainerError::Runner)?;
        Ok(Created {
            container: Self::new(runner, control, prepared)?,
            program: spec.args.into_iter().next().unwrap_or_default(),
            cwd: spec.cwd,
        })
    }

    /// Creates and starts a container.
    pub async fn start(spec: ContainerSpec, state: &Path) -> Result<Self, ContainerError> {
        Self::create(spec, state).await?.start().await
    }

    fn new(runner: Runner, control: OwnedFd, prepared: Prepared) -> Result<Self, ContainerError> {
        rustix::io::ioctl_fionbio(&control, true)
            .map_err(|error| ContainerError::Runner(error.into()))?;
        let control =
            syscall::watch(control, Interest::READABLE).map_err(ContainerError::Runner)?;
        let mut container = Self {
            id: prepared.config.id,
            runner,
            control,
            stdin: None,
            stdout: None,
            stderr: None,
            terminal: None,
            stop_signal: SystemSignal::TERM,
            ended: None,
        };
        if let Some(pipes) = prepared.pipes {
            container.stdin = Some(pipes.stdin);
            container.stdout = Some(pipes.stdout);
            container.stderr = Some(pipes.stderr);
        }
        Ok(container)
    }

    /// Waits for the runner's first message.
    async fn wait_started(&mut self, program: &str, cwd: &Path) -> Result<(), ContainerError> {
        let (report, descriptors) = self.report().await?;
        if let Report::Failed(error) = report {
            return Err(ContainerError::from_setup(error, program, cwd));
        }
        let mut descriptors = descriptors.into_iter();
        match descriptors.next() {
            Some(init) => self.runner.set_init(init),
            None => return Err(ContainerError::Runner(unexpected("no init"))),
        }
        if let Some(master) = descriptors.next() {
            let terminal = Terminal::new(master).map_err(ContainerError::Streams)?;
            self.stdin = Some(terminal.input());
            self.stdout = Some(terminal.output());
            self.terminal = Some(terminal);
        }
        tracing::debug!(id = self.id, "container started");
        Ok(())
    }

    /// The id of the runner. All processes of the container are its
    /// descendants.
    pub(crate) fn runner(&self) -> u32 {
        self.runner.id()
    }

    /// The container's standard input; absent after the first call.
    pub fn stdin(&mut self) -> Option<ContainerInput> {
        self.stdin.take()
    }

    /// The container's standard output; absent after the first call.
    pub fn stdout(&mut self) -> Option<ContainerOutput> {
        self.stdout.take()
    }

    /// The container's standard error; absent after the first call, and with a
    /// terminal.
    pub fn stderr(&mut self) -> Option<ContainerOutput> {
        self.stderr.take()
    }

    /// Sets the signal that asks the program to stop. The default is SIGTERM.
    pub(crate) fn stop_with(&mut self, signal: SystemSignal) {
        self.stop_signal = signal;
    }

    /// Asks the program to stop. Succeeds if it has already ended.
    pub fn stop(&self) -> io::Result<()> {
        self.runner.signal(self.stop_signal)
    }

    /// Sends a signal to the program. Succeeds if it has already ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        self.runner.signal(of_system(signal))
    }

    /// Sets the size of the terminal in cells. Does nothing without a terminal.
    pub fn resize(&self, rows: u16, columns: u16) -> io::Result<()> {
        match &self.terminal {
            Some(terminal) => terminal.resize(TerminalSize { rows, columns }),
            None => Ok(()),
        }
    }

    /// Waits until the program has ended and the container is removed. The call
    /// is cancellation-safe and can be repeated.
    pub async fn wait(&mut self) -> Result<ExitCode, ContainerError> {
        let code = match self.ended {
            Some(code) => code,
            None => match self.report().await?.0 {
                Report::Ended { code } => *self.ended.insert(ExitCode(code)),
                _ => return Err(ContainerError::Runner(unexpected("another start"))),
            },
        };
        self.runner.ended().await.map_err(ContainerError::Runner)?;
        tracing::debug!(id = self.id, code = code.0, "container ended");
        Ok(code)
    }

    /// Kills the program and waits until the container is removed.
    pub async fn kill(mut self) -> Result<(), ContainerError> {
        self.runner.kill().map_err(ContainerError::Runner)?;
        self.runner.ended().await.map_err(ContainerError::Runner)?;
        Ok(())
    }

    async fn report(&mut self) -> Result<(Report, Vec<OwnedFd>), ContainerError> {
        let received = self
            .control
            .async_io(Interest::READABLE, |control| {
                message::receive(control.as_fd())
            })
            .await;
        match received {
            Ok(Some(report)) => Ok(report),
            Ok(None) => Err(self.lost().await),
            Err(error) => Err(ContainerError::Runner(error)),
        }
    }

    /// The error for a runner that has ended without a report.
    async fn lost(&mut self) -> ContainerError {
        match self.runner.ended().await {
            Ok(status) => {
                let log = self.runner.log();
                let log = (!log.is_empty()).then(|| Chain::new(log));
                ContainerError::RunnerLost { status, log }
            }
            Err(error) => ContainerError::Runner(error),
        }
    }
}

/// Converts a signal of the protocol to one of this system.
pub(crate) fn of_system(signal: Signal) -> SystemSignal {
    match signal {
        Signal::Interrupt => SystemSignal::INT,
        Signal::Terminate => SystemSignal::TERM,
        Signal::Hangup => SystemSignal::HUP,
        Signal::Quit => SystemSignal::QUIT,
        Signal::Kill => SystemSignal::KILL,
        Signal::User1 => SystemSignal::USR1,
        Signal::User2 => SystemSignal::USR2,
    }
}

/// An id that is unique on this machine and safe in a file name.
fn next_id() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("locald-{}-{number}", std::process::id())
}

fn unexpected(what: &str) -> io::Error {
    io::Error::other(format!("the runner reported {what}"))
}
