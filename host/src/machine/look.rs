//! What is found when a machine is looked at.

use protocol::Failure;

use super::Step;
use crate::connection::agent::Agent;

/// The state of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "other systems' machines have fewer states")
)]
pub(crate) enum State {
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

impl State {
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

/// A machine as it was found.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) state: State,
    /// Why it does not run, as far as is known.
    pub(crate) fault: Option<Failure>,
    /// How the agent is reached: "vsock", "ssh".
    pub(crate) transport: Option<String>,
    /// The answering agent.
    pub(crate) agent: Option<Agent>,
    /// The last start's steps.
    pub(crate) steps: Vec<Step>,
}

impl Look {
    /// A machine without an agent.
    pub(crate) fn without_agent(state: State, fault: Option<Failure>) -> Self {
        Self {
            state,
            fault,
            transport: None,
            agent: None,
            steps: Vec::new(),
        }
    }

    /// A machine that is only known by its agent.
    pub(crate) fn at(agent: Result<Agent, Failure>) -> Self {
        match agent {
            Ok(agent) => Self::running(agent),
            Err(failure) => Self::without_agent(State::Unreachable, Some(failure)),
        }
    }

    /// A machine whose agent answers.
    pub(crate) fn running(agent: Agent) -> Self {
        Self {
            agent: Some(agent),
            ..Self::without_agent(State::Running, None)
        }
    }
}
