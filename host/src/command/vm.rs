//! `locald vm`.

use protocol::{Failure, FailureKind, Reply, Request};

use super::{Start, ask, unexpected};
use crate::cli::MachineCommand;
use crate::exit_code;
use crate::machine::Machine;
use crate::printer::{Answer, Printer};

pub(super) fn run(command: MachineCommand, printer: &mut Printer) -> Result<u8, Failure> {
    let machine = Machine::from_environment()?;
    match command {
        MachineCommand::Status => {
            let setup = Start::here(printer)?.setup;
            match ask(setup, printer, |_| Request::Status)? {
                Reply::Status(status) => {
                    let machine = machine.to_string();
                    printer.answer(&Answer::Status { machine, status });
                }
                reply => return Err(unexpected(&reply)),
            }
        }
        MachineCommand::Start | MachineCommand::Stop => {
            printer.note(&format!("nothing to do: the agent is {machine}"));
        }
        MachineCommand::Reset | MachineCommand::Logs => {
            let message = format!("the agent is {machine}: locald keeps no machine for it");
            let hint = "`locald vm status` shows where the store is; `locald image rm` frees it";
            return Err(Failure::new(FailureKind::Invalid, message).with_hint(hint));
        }
    }
    Ok(exit_code::SUCCESS)
}
