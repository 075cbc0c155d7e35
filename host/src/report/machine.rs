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
    /// Nothing of it is there yet.
    Absent,
    /// It was made, and does not run.
    Stopped,
    /// It ended without having been asked to.
    Crashed,
    /// It runs, and its agent does not listen yet.
    Starting,
    /// Somebody has stopped its process, or its system sleeps.
    Suspended,
    /// It runs, and does not answer.
    Hung,
    /// It cannot be reached.
    Unreachable,
    /// Its agent answers.
    Running,
}

impl MachineState {
    /// For people and programs.
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

/// What `vm status` found.
#[derive(Debug)]
pub(crate) struct MachineReport {
    pub(crate) machine: String,
    pub(crate) state: MachineState,
    pub(crate) fault: Option<Failure>,
    pub(crate) transport: Option<String>,
    pub(crate) agent: Option<AgentReport>,
    /// Of the last start, when they are asked for.
    pub(crate) steps: Vec<StartStep>,
    pub(crate) shape: Option<Shape>,
}

/// What its agent answered; absent is what did not come in time.
#[derive(Debug)]
pub(crate) struct AgentReport {
    pub(crate) build: String,
    pub(crate) status: Option<Status>,
    pub(crate) machine: Option<MachineStatus>,
    pub(crate) usage: Option<Usage>,
    pub(crate) round_trip: Duration,
    /// How far the machine's clock is before this system's.
    pub(crate) offset_millis: i64,
}
