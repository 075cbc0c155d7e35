//! Runs the agent in this process, on Linux. Host and agent speak the protocol
//! over an in-memory duplex.

use std::fmt;
use std::sync::Arc;

use protocol::Failure;
use protocol::hello::Token;

use super::{Machine, MachineError, Pending, Status};
use crate::connection::agent::AgentConnection;
use crate::output::Printer;

/// Size of the buffer between host and agent, in bytes.
const BUFFER: usize = 1024 * 1024;

/// The agent in this process.
#[derive(Debug)]
pub(super) struct InProcess;

impl Machine for InProcess {
    fn prepare(&self) -> Result<(), Failure> {
        // Find the home directory before this process becomes root of a
        // namespace.
        agent::home();
        agent::kernel::namespace::enter()?;
        Ok(())
    }

    fn is_remote(&self) -> bool {
        false
    }

    fn connect<'a>(&'a self, _: &'a mut Printer) -> Pending<'a, Result<AgentConnection, Failure>> {
        Box::pin(async { Ok(connect().await?) })
    }

    fn status(&self) -> Pending<'_, Status> {
        Box::pin(async { Status::at(connect().await.map_err(Failure::from)) })
    }
}

impl fmt::Display for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("in this process")
    }
}

/// Runs a hidden task and exits, if this process was started for one.
pub(crate) fn dispatch() {
    agent::run_hidden_task();
}

/// Checks that this process may start the threads that it needs.
pub(crate) fn check_threads() -> Result<(), Failure> {
    agent::kernel::threads::check()
}

/// Suspends all containers of this process.
pub(crate) fn suspend() {
    agent::container::pause::suspend();
}

/// Resumes them.
pub(crate) fn resume() {
    agent::container::pause::resume();
}

async fn connect() -> Result<AgentConnection, MachineError> {
    agent::kernel::descriptors::raise();
    let agent =
        agent::Agent::new(agent::home(), agent::Ownership::Shared).map_err(Failure::from)?;
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    tokio::spawn(async move {
        if let Err(error) = agent::server::session::serve(Arc::new(agent), theirs, None).await {
            tracing::warn!(%error, "session with ourselves");
        }
    });
    Ok(AgentConnection::connect(ours, &Token::default()).await?)
}
