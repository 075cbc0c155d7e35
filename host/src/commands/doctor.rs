//! Runs `locald doctor`.

use protocol::event::{Check, Verdict};
use protocol::{Event, Failure, FailureKind, Request};

use super::{Start, block_on};
use crate::commands::setup::Setup;
use crate::connection::request_stream::Incoming;
use crate::credential::Credentials;
use crate::exit_code;
use crate::output::{Answer, Printer};
use crate::platform::home::Home;
use crate::settings::MachineKind;

pub(super) fn run(machine: Option<&MachineKind>, printer: &mut Printer) -> Result<u8, Failure> {
    let mut checks = helpers();
    match Start::here(machine, printer).and_then(|start| ask(start.setup, printer)) {
        Ok(found) => checks.extend(found),
        // Only the agent can run the other checks.
        Err(failure) if failure.kind == FailureKind::Machine => checks.push(no_agent(failure)),
        Err(failure) => return Err(failure),
    }
    Ok(tell(checks, printer))
}

/// Prints the checks. Returns the exit code.
pub(super) fn tell(checks: Vec<Check>, printer: &mut Printer) -> u8 {
    let is_bad = checks.iter().any(|check| check.verdict == Verdict::Bad);
    printer.answer(&Answer::Checks(checks));
    if is_bad {
        exit_code::MACHINE
    } else {
        exit_code::SUCCESS
    }
}

fn ask(setup: Setup, printer: &mut Printer) -> Result<Vec<Check>, Failure> {
    block_on(async {
        let session = setup.connect(printer).await?;
        let mut stream = session.request(&Request::Doctor, printer).await?;
        let mut checks = Vec::new();
        loop {
            match stream.next().await? {
                Incoming::Event(Event::Check(check)) => checks.push(check),
                Incoming::Event(_) | Incoming::Data(..) => {}
                Incoming::Reply(_) => return Ok(checks),
            }
        }
    })
}

fn no_agent(failure: Failure) -> Check {
    Check {
        name: "agent".to_owned(),
        verdict: Verdict::Bad,
        detail: [vec![failure.message], failure.causes].concat().join(": "),
        remedy: failure.hint,
    }
}

/// Checks the credential helpers that the configuration names.
fn helpers() -> Vec<Check> {
    let Ok(home) = Home::find() else {
        return Vec::new();
    };
    let (credentials, _) = Credentials::load(&home);
    let check = |helper: &&str| {
        let program = format!("docker-credential-{helper}");
        let found = which::which(&program);
        let (verdict, detail, remedy) = match &found {
            Ok(path) => (Verdict::Good, path.display().to_string(), None),
            Err(_) => (
                Verdict::Degraded,
                format!("{program} is not on PATH: its accounts are not used"),
                Some(format!("install {program}, or remove it from config.json")),
            ),
        };
        Check {
            name: "credential helper".to_owned(),
            verdict,
            detail,
            remedy,
        }
    };
    credentials.helpers().iter().map(check).collect()
}
