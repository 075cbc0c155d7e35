//! Checks what this system lacks for a WSL2 machine.

use std::path::Path;

use protocol::Failure;
use protocol::event::{Check, Verdict};

use super::wsl_exe::WslExe;
use super::{STATUS_TIMEOUT, WslError, disk, own_agent};

pub(super) async fn checks(guest: Option<&Path>) -> Vec<Check> {
    let program = WslExe::find();
    let mut checks = vec![check(
        "wsl.exe",
        program.as_ref().map(|it| it.path().display().to_string()),
    )];
    if let Ok(program) = &program {
        let version = program.run(&["--version"], STATUS_TIMEOUT).await;
        checks.push(match version {
            Ok(said) => check("version of WSL", Ok(first_line(&said))),
            // The WSL that Windows itself contains does not know this option.
            Err(error @ WslError::Refused { .. }) => Check {
                verdict: Verdict::Degraded,
                remedy: Some("`wsl --update`".to_owned()),
                ..check("version of WSL", Err(&error))
            },
            Err(error) => check("version of WSL", Err(&error)),
        });
        let status = program.run(&["--status"], STATUS_TIMEOUT).await;
        checks.push(check(
            "state of WSL",
            status.as_ref().map(|said| first_line(said)),
        ));
    }
    let root = disk::root_file_system(guest);
    checks.push(check(
        "root file system",
        root.as_ref().map(|path| path.display().to_string()),
    ));
    let agent = own_agent();
    checks.push(check(
        "agent to bring along",
        agent.as_ref().map(|agent| match agent {
            Some(agent) => agent.build.clone(),
            None => "the one in the root file system".to_owned(),
        }),
    ));
    checks
}

fn check(name: &str, found: Result<String, &WslError>) -> Check {
    match found {
        Ok(detail) => Check::good(name, detail),
        Err(error) => {
            let failure = Failure::from_error(protocol::FailureKind::Machine, error);
            let detail = [vec![failure.message], failure.causes].concat().join(": ");
            Check::bad(name, detail, error.remedy().map(str::to_owned))
        }
    }
}

fn first_line(said: &str) -> String {
    let line = said.lines().map(str::trim).find(|line| !line.is_empty());
    line.unwrap_or("it says nothing").to_owned()
}
