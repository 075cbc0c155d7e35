//! Manages a virtual machine with QEMU. It runs locald's own small guest, and
//! the host reaches it by vsock.
//!
//! A supervisor (this program again) runs QEMU and, if the kernel has no
//! vhost-vsock, `vhost-device-vsock`. Each of these processes holds a lock on
//! one file of the machine's folder. The lock shows whether the machine runs. A
//! process id does not: the system may have given it to another process.

mod acceleration_test;
mod command_line;
mod console;
mod dial;
mod download;
mod error;
mod folder;
mod guest;
mod probe;
mod run_state;
mod start;
mod supervisor;

use std::fmt;
use std::future::ready;
use std::path::PathBuf;
use std::time::Duration;

use protocol::event::Check;
use protocol::request::Running;
use protocol::{Failure, Request};

use super::{Kept, Machine, Pending, STATUS_TIMEOUT, Status, clock, step};
use crate::connection::agent::AgentConnection;
use crate::output::Printer;
use crate::platform::home::Home;
use crate::report::MachineState;
use crate::settings::Shape;

use error::QemuError;
use folder::MachineFolder;
use guest::Guest;
use run_state::RunState;

pub(crate) use supervisor::dispatch;

/// An agent that listens answers within this time.
const ANSWER: Duration = Duration::from_secs(10);
/// The interval between attempts while no agent listens.
const AGAIN: Duration = Duration::from_millis(100);
/// A machine ends within this time after a request to stop.
const SWITCH_OFF: Duration = Duration::from_secs(20);
/// Killed processes disappear within this time.
const ENDING: Duration = Duration::from_millis(500);

/// A machine that QEMU runs.
#[derive(Debug)]
pub(crate) struct Qemu {
    shape: Shape,
    folder: MachineFolder,
}

impl Qemu {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the same signature on each system"
    )]
    pub(super) fn new(shape: Shape, home: &Home) -> Result<Self, Failure> {
        let folder = MachineFolder::new(&home.machines);
        Ok(Self {
            shape: folder.resized(shape),
            folder,
        })
    }

    /// Connects with the agent. Starts or repairs the machine if necessary.
    async fn ensure_connected(&self, printer: &mut Printer) -> Result<AgentConnection, Failure> {
        let guest = Guest::get(self.shape.guest.as_ref(), &self.folder, printer).await?;
        let agent = self.running_agent(&guest, printer).await?;
        if agent.build == guest.agent {
            clock::set(&agent).await?;
            return Ok(agent);
        }
        printer.note("The machine has the agent of another locald: locald restarts it");
        self.switch_off(agent, Running::Finish).await?;
        let agent = self.running_agent(&guest, printer).await?;
        if agent.build != guest.agent {
            return Err(QemuError::OtherAgent { found: agent.build }.into());
        }
        clock::set(&agent).await?;
        Ok(agent)
    }

    /// Starts the machine if it does not run, and connects with its agent.
    async fn running_agent(
        &self,
        guest: &Guest,
        printer: &mut Printer,
    ) -> Result<AgentConnection, Failure> {
        self.ensure_running(guest, printer).await?;
        match self.answering_agent().await {
            Err(_) if self.is_ending().await => {
                self.ensure_running(guest, printer).await?;
                self.answering_agent().await
            }
            reached => reached,
        }
    }

    /// Whether the machine ends within [`ENDING`].
    async fn is_ending(&self) -> bool {
        let dead = tokio::time::timeout(ENDING, self.folder.dead()).await;
        matches!(dead, Ok(Ok(())))
    }

    async fn ensure_running(&self, guest: &Guest, printer: &mut Printer) -> Result<(), Failure> {
        match self.folder.run_state() {
            RunState::Suspended { qemu } => {
                printer.note("The machine was suspended: locald resumes it");
                Ok(run_state::resume(qemu)?)
            }
            RunState::Running => Ok(()),
            RunState::None | RunState::Starting => {
                Ok(start::start(&self.folder, &self.shape, guest, printer).await?)
            }
        }
    }

    /// Connects with the agent of a running machine. The guest restarts an
    /// agent that has crashed, and does not report when. So this tries again.
    async fn answering_agent(&self) -> Result<AgentConnection, Failure> {
        let connect = async || {
            loop {
                match dial::connect(&self.folder).await {
                    Err(QemuError::NoAgent) => tokio::time::sleep(AGAIN).await,
                    connected => return connected,
                }
            }
        };
        match tokio::time::timeout(ANSWER, connect()).await {
            Ok(agent) => Ok(agent?),
            Err(_) => Err(QemuError::Hung { time: ANSWER }.into()),
        }
    }

    async fn find_status(&self) -> Status {
        let status = match self.folder.run_state() {
            RunState::None => self.look_at_the_dead(),
            RunState::Starting => Status::without_agent(MachineState::Starting, None),
            RunState::Suspended { .. } => Status::without_agent(MachineState::Suspended, None),
            RunState::Running => {
                match tokio::time::timeout(STATUS_TIMEOUT, dial::connect(&self.folder)).await {
                    Ok(Ok(agent)) => Status::running(agent),
                    Ok(Err(_)) if self.is_ending().await => self.look_at_the_dead(),
                    Ok(Err(error)) => Status::without_agent(MachineState::Hung, Some(error.into())),
                    Err(_) => {
                        let error = QemuError::Hung {
                            time: STATUS_TIMEOUT,
                        };
                        Status::without_agent(MachineState::Hung, Some(error.into()))
                    }
                }
            }
        };
        Status {
            transport: Some(self.folder.transport().to_owned()),
            steps: step::load(&self.folder.steps()),
            ..status
        }
    }

    fn look_at_the_dead(&self) -> Status {
        match self.folder.end() {
            Some(error) => Status::without_agent(MachineState::Crashed, Some(error.into())),
            None if self.folder.disk().exists() => {
                Status::without_agent(MachineState::Stopped, None)
            }
            None => Status::without_agent(MachineState::Absent, None),
        }
    }

    /// Asks the agent to stop the machine, and waits until it has ended.
    async fn switch_off(&self, agent: AgentConnection, running: Running) -> Result<(), Failure> {
        // The machine may stop before its answer arrives.
        let asked = agent.ask(&Request::MachineStop { running }).await;
        if let Err(failure) = asked {
            tracing::debug!(?failure, "stop");
        }
        self.switched_off().await
    }

    async fn switched_off(&self) -> Result<(), Failure> {
        match tokio::time::timeout(SWITCH_OFF, self.folder.dead()).await {
            Ok(dead) => Ok(dead?),
            Err(_) => Err(QemuError::StillRunning { time: SWITCH_OFF }.into()),
        }
    }
}

impl Machine for Qemu {
    fn kept(&self) -> Kept {
        Kept::Machine
    }

    fn connect<'a>(
        &'a self,
        printer: &'a mut Printer,
    ) -> Pending<'a, Result<AgentConnection, Failure>> {
        Box::pin(self.ensure_connected(printer))
    }

    fn status(&self) -> Pending<'_, Status> {
        Box::pin(self.find_status())
    }

    fn stopped(&self) -> Pending<'_, Result<(), Failure>> {
        Box::pin(self.switched_off())
    }

    fn kill(&self) -> Pending<'_, Result<(), Failure>> {
        Box::pin(async {
            self.folder.kill().await?;
            self.folder.note_killed()?;
            Ok(())
        })
    }

    fn remove(&self) -> Pending<'_, Result<(), Failure>> {
        Box::pin(async {
            self.folder.kill().await?;
            Ok(self.folder.remove()?)
        })
    }

    fn resize(&self, shape: &Shape) -> Result<(), Failure> {
        Ok(self.folder.resize(&self.shape, shape)?)
    }

    fn shape(&self) -> Option<&Shape> {
        Some(&self.shape)
    }

    fn disk(&self) -> Option<PathBuf> {
        Some(self.folder.disk())
    }

    fn logs(&self) -> Vec<PathBuf> {
        self.folder.logs()
    }

    fn doctor(&self) -> Pending<'_, Vec<Check>> {
        let checks = probe::checks(&self.folder, self.shape.guest.as_ref());
        Box::pin(ready(checks))
    }
}

impl fmt::Display for Qemu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("qemu")
    }
}
