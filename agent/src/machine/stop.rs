//! The end of an agent, and of a machine that is its own.

use protocol::request::Running;
use protocol::{Event, Failure, Reply};

use crate::Agent;
use crate::request::stream::Dialogue;

/// Serves a request to stop: nothing more begins, what runs finishes or is
/// interrupted, and then the agent ends. The host that goes away before that
/// has changed its mind.
pub(crate) async fn stop(
    agent: &Agent,
    running: Running,
    dialogue: &Dialogue,
) -> Result<Reply, Failure> {
    let drain = agent.work.drain();
    let names = agent.work.running();
    if running == Running::Interrupt {
        agent.work.interrupt();
    } else if !names.is_empty() {
        let reason = names.join(", ");
        dialogue.event(Event::Waiting { reason }).await?;
    }
    agent.work.finished().await;
    agent.store.sync()?;
    drain.end();
    Ok(Reply::Nothing)
}
