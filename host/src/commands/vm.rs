//! Runs `locald vm` and its subcommands.

mod reset;
mod resize;
mod shell;
mod status;
mod stop;

use protocol::{Event, Failure, FailureKind, Request};

use super::{Start, block_on, doctor};
use crate::cli::MachineCommand;
use crate::exit_code;
use crate::machine::Machine;
use crate::output::{Answer, Printer};
use crate::settings::MachineKind;

/// The machine of a command.
struct Subject {
    machine: Box<dyn Machine>,
    name: String,
}

pub(super) fn run(
    command: &MachineCommand,
    machine: Option<&MachineKind>,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    let setup = Start::here(machine, printer)?.setup;
    if let MachineCommand::Ssh { command } = command {
        return shell::run(setup, command, printer);
    }
    let machine = setup.machine;
    let name = machine.to_string();
    let subject = Subject { machine, name };
    block_on(async {
        match command {
            MachineCommand::Status(options) => status::run(&subject, *options, printer).await,
            MachineCommand::Start => start(&subject, printer).await,
            MachineCommand::Stop(options) => stop::run(&subject, *options, printer).await,
            MachineCommand::Restart(options) => {
                stop::stop(&subject, options.stop, printer).await?;
                start(&subject, printer).await
            }
            MachineCommand::Reset(options) => reset::run(&subject, *options, printer).await,
            MachineCommand::Logs => logs(&subject, printer),
            MachineCommand::Resize(options) => resize::run(&subject, *options, printer).await,
            MachineCommand::Upgrade => upgrade(&subject, printer).await,
            MachineCommand::Doctor => check(&subject, printer).await,
            // The caller has handled `ssh`.
            MachineCommand::Ssh { .. } => Ok(exit_code::SUCCESS),
        }
    })
}

async fn start(subject: &Subject, printer: &mut Printer) -> Result<u8, Failure> {
    let agent = subject.machine.connect(printer).await?;
    let (machine, build) = (subject.name.clone(), agent.build.clone());
    printer.answer(&Answer::MachineStarted { machine, build });
    Ok(exit_code::SUCCESS)
}

/// Replaces an agent of another build. Connecting already does this.
async fn upgrade(subject: &Subject, printer: &mut Printer) -> Result<u8, Failure> {
    start(subject, printer).await
}

fn logs(subject: &Subject, printer: &mut Printer) -> Result<u8, Failure> {
    let logs = subject.machine.logs();
    if logs.is_empty() {
        return Err(nothing(subject, "it has no log"));
    }
    let read = |path: std::path::PathBuf| {
        let text = fs_err::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let text = text.map_err(|error| Failure::from_error(FailureKind::Machine, &error));
        text.map(|text| (path, text))
    };
    let logs: Result<Vec<_>, Failure> = logs.into_iter().map(read).collect();
    printer.answer(&Answer::Logs(logs?));
    Ok(exit_code::SUCCESS)
}

async fn check(subject: &Subject, printer: &mut Printer) -> Result<u8, Failure> {
    let mut checks = subject.machine.doctor().await;
    if let Some(agent) = subject.machine.status().await.agent {
        let mut exchange = agent.request(&Request::Doctor).await?;
        while let crate::connection::agent::Message::Event(event) = exchange.receiver.next().await?
        {
            if let Event::Check(check) = event {
                checks.push(check);
            }
        }
    }
    Ok(doctor::tell(checks, printer))
}

/// The failure for a machine that another program manages.
fn nothing(subject: &Subject, what: &str) -> Failure {
    let message = format!("{}: {what}", subject.name);
    let hint = "`--machine`, LOCALD_MACHINE or [machine] in config.toml name a machine of locald's";
    Failure::new(FailureKind::Invalid, message).with_hint(hint)
}
