//! The status of a machine, as its kind finds it.

use protocol::Failure;

use crate::connection::agent::AgentConnection;
use crate::report::{MachineState, StartStep};

/// The status of a machine.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) state: MachineState,
    /// Why the machine does not run, if known.
    pub(crate) fault: Option<Failure>,
    /// The transport to the agent: "vsock", "ssh".
    pub(crate) transport: Option<String>,
    /// A connection with the agent, if it answers.
    pub(crate) agent: Option<AgentConnection>,
    /// The steps of the last start.
    pub(crate) steps: Vec<StartStep>,
}

impl Status {
    /// Makes the status of a machine whose agent does not answer.
    pub(crate) fn without_agent(state: MachineState, fault: Option<Failure>) -> Self {
        Self {
            state,
            fault,
            transport: None,
            agent: None,
            steps: Vec::new(),
        }
    }

    /// Makes the status of a machine that only its agent describes.
    pub(crate) fn at(agent: Result<AgentConnection, Failure>) -> Self {
        match agent {
            Ok(agent) => Self::running(agent),
            Err(failure) => Self::without_agent(MachineState::Unreachable, Some(failure)),
        }
    }

    /// Makes the status of a machine whose agent answers.
    pub(crate) fn running(agent: AgentConnection) -> Self {
        Self {
            agent: Some(agent),
            ..Self::without_agent(MachineState::Running, None)
        }
    }
}
