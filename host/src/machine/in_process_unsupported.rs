//! Only Linux can be the agent's machine.

use protocol::Failure;

use super::MachineError;
use crate::agent::Agent;

/// There is no hidden task.
pub(crate) fn dispatch() {}

/// Nothing to prepare.
pub(crate) fn prepare() -> Result<(), Failure> {
    Ok(())
}

pub(super) async fn connect() -> Result<Agent, MachineError> {
    Err(MachineError::NotHere("an agent in this process"))
}
