//! `locald doctor`.

use protocol::event::Verdict;
use protocol::{Event, Failure, Request};

use super::{Start, block_on};
use crate::conversation::Heard;
use crate::exit_code;
use crate::printer::{Answer, Printer};

pub(super) fn run(printer: &mut Printer) -> Result<u8, Failure> {
    let setup = Start::here(printer)?.setup;
    let checks = block_on(async {
        let client = setup.connect().await?;
        let mut conversation = client.request(&Request::Doctor, printer).await?;
        let mut checks = Vec::new();
        loop {
            match conversation.next().await? {
                Heard::Event(Event::Check(check)) => checks.push(check),
                Heard::Event(_) | Heard::Data(..) => {}
                Heard::Reply(_) => return Ok(checks),
            }
        }
    })?;
    let is_bad = checks.iter().any(|check| check.verdict == Verdict::Bad);
    printer.answer(&Answer::Checks(checks));
    Ok(if is_bad {
        exit_code::MACHINE
    } else {
        exit_code::SUCCESS
    })
}
