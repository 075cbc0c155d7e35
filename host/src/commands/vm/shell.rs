//! Runs `locald vm ssh`.

use protocol::{Failure, FailureKind, Request};

use crate::commands::block_on;
use crate::commands::run::refuse_json;
use crate::commands::setup::Setup;
use crate::connection::attach::attach;
use crate::output::Printer;
use crate::platform::terminal;

/// Runs a program in the machine: by ssh, or else by the agent.
pub(super) fn run(setup: Setup, command: &[String], printer: &mut Printer) -> Result<u8, Failure> {
    refuse_json(printer)?;
    if let Some(ended) = setup.machine.shell(command) {
        return ended;
    }
    if !setup.machine.is_remote() {
        let message = format!("the agent is {}: it has no other machine", setup.machine);
        return Err(Failure::new(FailureKind::Invalid, message));
    }
    let stdio = terminal::stdio();
    let command = command.to_vec();
    block_on(async {
        let session = setup.connect(printer).await?;
        let request = Request::Console { command, stdio };
        attach(session.request(&request, printer).await?, stdio, &session).await
    })
}
