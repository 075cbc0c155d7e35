//! Runs `locald vm stop`.

use std::time::Duration;

use protocol::request::Running;
use protocol::{Failure, FailureKind, Outcome, Reply, Request};

use super::Subject;
use crate::cli::StopOptions;
use crate::connection::agent::{AgentConnection, AgentError, Message};
use crate::exit_code;
use crate::machine::{Kept, disk_usage};
use crate::output::{Answer, Printer};
use crate::report::MachineState;

/// The time limit for trimming the disk. A later stop trims the rest.
const TRIM: Duration = Duration::from_secs(20);

/// How a machine was stopped.
pub(super) enum Stopped {
    /// It did not run.
    Already,
    /// The agent stopped it.
    Asked {
        /// Bytes by which its disk's file became smaller.
        given_back: u64,
    },
    /// locald killed it.
    Killed,
}

pub(super) async fn run(
    subject: &Subject,
    options: StopOptions,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    if subject.machine.kept() != Kept::Machine {
        printer.note(&format!("nothing to do: the agent is {}", subject.name));
        return Ok(exit_code::SUCCESS);
    }
    let trimmed = match stop(subject, options, printer).await? {
        Stopped::Already => {
            printer.note(&format!("{} does not run", subject.name));
            return Ok(exit_code::SUCCESS);
        }
        Stopped::Asked { given_back } => given_back,
        Stopped::Killed => 0,
    };
    let machine = subject.name.clone();
    printer.answer(&Answer::MachineStopped { machine, trimmed });
    Ok(exit_code::SUCCESS)
}

/// Stops a machine that locald manages. For another machine, there is nothing
/// to stop.
pub(super) async fn stop(
    subject: &Subject,
    options: StopOptions,
    printer: &mut Printer,
) -> Result<Stopped, Failure> {
    let now = options.now || options.force;
    if let Some(stopping) = subject.machine.stop(now, printer) {
        let stopped = stopping.await?;
        let asked = |given_back| Stopped::Asked { given_back };
        return Ok(stopped.map_or(Stopped::Already, asked));
    }
    if subject.machine.kept() != Kept::Machine {
        return Ok(Stopped::Already);
    }
    let look = subject.machine.status().await;
    match (look.state, look.agent) {
        (
            MachineState::Absent
            | MachineState::Stopped
            | MachineState::Crashed
            | MachineState::Unreachable,
            _,
        ) => Ok(Stopped::Already),
        _ if options.force => {
            subject.machine.kill().await?;
            Ok(Stopped::Killed)
        }
        (_, Some(agent)) => {
            let before = disk_usage(&*subject.machine);
            switch_off(&agent, options, printer).await?;
            drop(agent);
            subject.machine.stopped().await?;
            let given_back = before.saturating_sub(disk_usage(&*subject.machine));
            Ok(Stopped::Asked { given_back })
        }
        (state, None) => {
            let message = format!(
                "{} is {} and cannot be asked to stop",
                subject.name,
                state.name()
            );
            let failure = Failure::new(FailureKind::Machine, message);
            Err(failure.with_hint("`--force` ends it at once; images are kept"))
        }
    }
}

/// Asks the agent to stop its machine. Returns when the agent has accepted.
async fn switch_off(
    agent: &AgentConnection,
    options: StopOptions,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let running = if options.now {
        if let Reply::Machine(status) = agent.ask(&Request::MachineStatus).await?
            && !status.running.is_empty()
        {
            printer.note(&format!("Interrupting {}", status.running.join(", ")));
        }
        Running::Interrupt
    } else {
        Running::Finish
    };
    let trimmed = tokio::time::timeout(TRIM, agent.ask(&Request::MachineTrim)).await;
    if let Ok(Err(failure)) = trimmed {
        printer.warning(&failure.message, None);
    }
    let mut exchange = agent.request(&Request::MachineStop { running }).await?;
    loop {
        match exchange.receiver.next().await {
            Ok(Message::Event(event)) => printer.event(&event),
            Ok(Message::Data(..)) => {}
            Ok(Message::Outcome(Outcome::Failed(failure))) => return Err(failure),
            // The machine may stop before its answer arrives.
            Ok(Message::Outcome(Outcome::Done(_)))
            | Err(AgentError::NoOutcome | AgentError::Broken(_) | AgentError::Frame(_)) => {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}
