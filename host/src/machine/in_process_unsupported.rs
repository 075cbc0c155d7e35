//! The agent runs on Linux only, so this process cannot be its machine.

use std::fmt;
use std::future::ready;

use protocol::Failure;

use super::{Machine, MachineError, Pending, Status};
use crate::connection::agent::AgentConnection;
use crate::output::Printer;

/// The agent in this process.
#[derive(Debug)]
pub(super) struct InProcess;

impl Machine for InProcess {
    fn is_remote(&self) -> bool {
        false
    }

    fn connect<'a>(&'a self, _: &'a mut Printer) -> Pending<'a, Result<AgentConnection, Failure>> {
        Box::pin(ready(Err(unsupported())))
    }

    fn status(&self) -> Pending<'_, Status> {
        Box::pin(ready(Status::at(Err(unsupported()))))
    }
}

impl fmt::Display for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("in this process")
    }
}

/// This system has no hidden task.
pub(crate) fn dispatch() {}

/// Always succeeds: the system reports such a failure itself.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the same signature on each system"
)]
pub(crate) fn check_threads() -> Result<(), Failure> {
    Ok(())
}

/// This process has no containers.
#[cfg_attr(windows, expect(dead_code, reason = "there are no jobs"))]
pub(crate) fn suspend() {}

/// This process has no containers.
#[cfg_attr(windows, expect(dead_code, reason = "there are no jobs"))]
pub(crate) fn resume() {}

fn unsupported() -> Failure {
    MachineError::NotHere("an agent in this process").into()
}
