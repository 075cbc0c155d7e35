//! Only Linux can be the agent's machine.

use protocol::Failure;

use super::MachineError;
use crate::agent::Agent;

/// Nothing to prepare.
pub fn prepare() -> Result<(), Failure> {
    Ok(())
}

pub(super) async fn connect() -> Result<Agent, MachineError> {
    Err(MachineError::NotHere("an agent in this process"))
}
