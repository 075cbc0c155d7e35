//! Only Linux can be the agent's machine.

use std::future::{Ready, ready};

use protocol::Failure;

use super::MachineError;
use crate::connection::agent::AgentConnection;

/// There is no hidden task.
pub(crate) fn dispatch() {}

/// Nothing to prepare.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the same signature on each system"
)]
pub(crate) fn prepare() -> Result<(), Failure> {
    Ok(())
}

/// The system says so itself.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the same signature on each system"
)]
pub(crate) fn check_threads() -> Result<(), Failure> {
    Ok(())
}

/// There are no containers in this process.
#[cfg_attr(windows, expect(dead_code, reason = "there are no jobs"))]
pub(crate) fn suspend() {}

/// There are no containers in this process.
#[cfg_attr(windows, expect(dead_code, reason = "there are no jobs"))]
pub(crate) fn resume() {}

pub(super) fn connect() -> Ready<Result<AgentConnection, MachineError>> {
    ready(Err(MachineError::NotHere("an agent in this process")))
}
