//! Runs `locald vm status`.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use protocol::{Failure, Reply, Request};

use super::Subject;
use crate::cli::StatusOptions;
use crate::connection::agent::AgentConnection;
use crate::exit_code;
use crate::machine::STATUS_TIMEOUT;
use crate::output::{Answer, Printer};
use crate::report::{AgentReport, MachineReport};

pub(super) async fn run(
    subject: &Subject,
    options: StatusOptions,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    let found = subject.machine.status().await;
    let agent = match &found.agent {
        Some(agent) => Some(ask(agent).await),
        None => None,
    };
    let report = MachineReport {
        machine: subject.name.clone(),
        state: found.state,
        fault: found.fault,
        transport: found.transport,
        agent,
        steps: if options.timings {
            found.steps
        } else {
            Vec::new()
        },
        shape: subject.machine.shape().cloned(),
    };
    printer.answer(&Answer::Machine(Box::new(report)));
    Ok(exit_code::SUCCESS)
}

/// Sends all questions at once. Each has its own deadline.
async fn ask(agent: &AgentConnection) -> AgentReport {
    let (status, usage) = tokio::join!(
        question(agent, Request::AgentStatus),
        question(agent, Request::MachineUsage)
    );
    let asked = Instant::now();
    let machine = question(agent, Request::MachineStatus).await;
    AgentReport {
        build: agent.build.clone(),
        round_trip: asked.elapsed(),
        status: match status {
            Some(Reply::Status(status)) => Some(status),
            _ => None,
        },
        usage: match usage {
            Some(Reply::Usage(usage)) => Some(usage),
            _ => None,
        },
        offset_millis: match &machine {
            Some(Reply::Machine(status)) => offset(status.clock),
            _ => 0,
        },
        machine: match machine {
            Some(Reply::Machine(status)) => Some(status),
            _ => None,
        },
    }
}

async fn question(agent: &AgentConnection, request: Request) -> Option<Reply> {
    let answer = tokio::time::timeout(STATUS_TIMEOUT, agent.ask(&request)).await;
    answer.ok()?.ok()
}

/// Returns how many milliseconds the machine's clock is ahead of this system's.
fn offset(clock: u64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX));
    let clock = i64::try_from(clock / 1_000_000).unwrap_or(i64::MAX);
    clock.saturating_sub(now)
}
