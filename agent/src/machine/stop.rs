//! Ends the agent, and the machine if that is the agent's own.

use protocol::request::Running;
use protocol::{Event, Failure, Reply};

use crate::Agent;
use crate::request::stream::RequestStream;

/// Serves a request to stop: nothing more begins, what runs finishes or is
/// interrupted, and then the agent ends. The host that goes away before that
/// has changed its mind.
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
