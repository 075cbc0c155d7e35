//! Ends the agent, and the machine if it is the agent's own.

use protocol::request::Running;
use protocol::{Event, Failure, Reply};

use crate::Agent;
use crate::request::stream::RequestStream;

/// Serves a request to stop. No new request starts. Running requests finish or
/// are interrupted, then the agent ends. If the host disconnects before, the
/// stop is cancelled.
pub(crate) async fn stop(
    agent: &Agent,
    running: Running,
    stream: &RequestStream,
) -> Result<Reply, Failure> {
    let drain = agent.active.drain();
    let names = agent.active.running();
    if running == Running::Interrupt {
        agent.active.interrupt();
    } else if !names.is_empty() {
        let reason = names.join(", ");
        stream.event(Event::Waiting { reason }).await?;
    }
    agent.active.finished().await;
    agent.store.sync()?;
    drain.end();
    Ok(Reply::Nothing)
}
