//! The status of a machine, as `vm status` shows it.

use std::time::Duration;

use protocol::Failure;
use protocol::event::{MachineStatus, Status, Usage};

use crate::settings::Shape;

/// The state of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "other systems' machines have fewer states")
)]
pub(crate) enum MachineState {
    /// The machine does not exist yet.
    Absent,
    /// It exists, and does not run.
    Stopped,
    /// It ended without a request to stop.
    Crashed,
    /// It runs, and its agent does not listen yet.
    Starting,
    /// A signal has stopped its process, or its system sleeps.
    Suspended,
    /// It runs, and its agent does not answer.
    Hung,
    /// locald cannot connect to it.
    Unreachable,
    /// Its agent answers.
    Running,
}

impl MachineState {
    /// Returns the name for people and programs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Stopped => "stopped",
            Self::Crashed => "crashed",
            Self::Starting => "starting",
            Self::Suspended => "suspended",
            Self::Hung => "hung",
            Self::Unreachable => "unreachable",
            Self::Running => "running",
        }
    }
}

/// One step of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartStep {
    pub(crate) name: String,
    pub(crate) time: Duration,
}

/// The result of `vm status`.
#[derive(Debug)]
pub(crate) struct MachineReport {
    pub(crate) machine: String,
    pub(crate) state: MachineState,
    pub(crate) fault: Option<Failure>,
    pub(crate) transport: Option<String>,
    pub(crate) agent: Option<AgentReport>,
    /// The steps of the last start. Empty unless the user requests them.
    pub(crate) steps: Vec<StartStep>,
    pub(crate) shape: Option<Shape>,
}

/// The agent's answers. An answer that did not arrive in time is absent.
#[derive(Debug)]
pub(crate) struct AgentReport {
    pub(crate) build: String,
    pub(crate) status: Option<Status>,
    pub(crate) machine: Option<MachineStatus>,
    pub(crate) usage: Option<Usage>,
    pub(crate) round_trip: Duration,
    /// How many milliseconds the machine's clock is ahead of this system's.
    pub(crate) offset_millis: i64,
}
