//! Sets a machine's clock. It is wrong after this system slept, or the machine
//! was suspended.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::event::MachineStatus;
use protocol::{Failure, Reply, Request};

use crate::connection::agent::AgentConnection;

/// The difference up to which a clock counts as right, in nanoseconds.
const TOLERATED: u64 = 300_000_000;

/// Sets the machine's clock if it is wrong.
pub(super) async fn set(agent: &AgentConnection) -> Result<(), Failure> {
    let Reply::Machine(status) = agent.ask(&Request::MachineStatus).await? else {
        return Ok(());
    };
    if offset(&status) > TOLERATED {
        let nanos = now();
        agent.ask(&Request::SetClock { nanos }).await?;
    }
    Ok(())
}

fn offset(status: &MachineStatus) -> u64 {
    now().abs_diff(status.clock)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |it| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX))
}
