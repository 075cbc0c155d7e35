//! The status of a machine, as its kind finds it.

use protocol::Failure;

use crate::connection::agent::AgentConnection;
use crate::report::{MachineState, StartStep};

/// A machine as it was found.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) state: MachineState,
    /// Why it does not run, as far as is known.
    pub(crate) fault: Option<Failure>,
    /// How the agent is reached: "vsock", "ssh".
    pub(crate) transport: Option<String>,
    /// The answering agent.
    pub(crate) agent: Option<AgentConnection>,
    /// The last start's steps.
    pub(crate) steps: Vec<StartStep>,
}

impl Status {
    /// A machine without an agent.
    pub(crate) fn without_agent(state: MachineState, fault: Option<Failure>) -> Self {
        Self {
            state,
            fault,
            transport: None,
            agent: None,
            steps: Vec::new(),
        }
    }

    /// A machine that is only known by its agent.
    pub(crate) fn at(agent: Result<AgentConnection, Failure>) -> Self {
        match agent {
            Ok(agent) => Self::running(agent),
            Err(failure) => Self::without_agent(MachineState::Unreachable, Some(failure)),
        }
    }

    /// A machine whose agent answers.
    pub(crate) fn running(agent: AgentConnection) -> Self {
        Self {
            agent: Some(agent),
            ..Self::without_agent(MachineState::Running, None)
        }
    }
}
