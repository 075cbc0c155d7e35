//! The agent in this process, on Linux: the same protocol over an in-memory
//! duplex.

use std::sync::Arc;

use protocol::Failure;
use protocol::hello::Token;

use super::MachineError;
use crate::connection::agent::AgentConnection;

/// Bytes between the two halves of the process.
const BUFFER: usize = 1024 * 1024;

/// Does a hidden task, when this process was started for one, and ends.
pub(crate) fn dispatch() {
    agent::run_hidden_task();
}

/// Enters the agent's namespaces. Must be called before the process has a
/// second thread.
pub(crate) fn prepare() -> Result<(), Failure> {
    // Found before this process is root of a namespace.
    agent::home();
    agent::kernel::namespace::enter()?;
    Ok(())
}

/// Whether this process may start the threads that it needs.
pub(crate) fn check_threads() -> Result<(), Failure> {
    agent::kernel::threads::check()
}

/// Stops all containers of this process.
pub(crate) fn suspend() {
    agent::container::pause::suspend();
}

/// Lets them go on.
pub(crate) fn resume() {
    agent::container::pause::resume();
}

pub(super) async fn connect() -> Result<AgentConnection, MachineError> {
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
