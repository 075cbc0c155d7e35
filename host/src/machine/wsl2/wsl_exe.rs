//! Runs `wsl.exe`, with a time limit for each call.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

use super::{Code, NAME, WslError, text};
use crate::machine::spawn;

/// The path of `wsl.exe`.
#[derive(Debug)]
pub(super) struct WslExe(PathBuf);

impl WslExe {
    pub(super) fn find() -> Result<Self, WslError> {
        which::which("wsl.exe")
            .map(Self)
            .map_err(|_| WslError::NoProgram)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Runs wsl.exe with options that manage distributions. Returns its output.
    pub(super) async fn run(&self, arguments: &[&str], time: Duration) -> Result<String, WslError> {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::null());
        let output = output(command, time).await?;
        let said = text::decode(&output.stdout) + &text::decode(&output.stderr);
        // Some versions of WSL fail if a list has no entries.
        if output.status.success() || (text::code(&said).is_none() && arguments[0] == "--list") {
            return Ok(said);
        }
        Err(refused(arguments[0], &said))
    }

    /// Returns the names of distributions. `kind` holds options of `wsl --list`
    /// that select some of them, such as `--running`.
    pub(super) async fn names(
        &self,
        kind: &[&str],
        time: Duration,
    ) -> Result<HashSet<String>, WslError> {
        let list = [&["--list", "--quiet"], kind].concat();
        match self.run(&list, time).await {
            Err(WslError::Refused {
                code: Code::DistributionNotFound,
                ..
            }) => Ok(HashSet::new()),
            said => Ok(text::names(&said?)),
        }
    }

    /// Runs a program in the distribution as root. Returns its output.
    pub(super) async fn execute(
        &self,
        program: &[&str],
        time: Duration,
    ) -> Result<String, WslError> {
        self.execute_with(program, Stdio::null(), time).await
    }

    /// Runs a program with an input, like [`execute`](Self::execute).
    pub(super) async fn execute_with(
        &self,
        program: &[&str],
        input: Stdio,
        time: Duration,
    ) -> Result<String, WslError> {
        let mut command = self.inside(program);
        command.stdin(input);
        let output = output(command, time).await?;
        let said = text::decode(&output.stdout);
        if output.status.success() {
            return Ok(said);
        }
        let all = said + &text::decode(&output.stderr);
        if text::code(&all).is_some() {
            return Err(refused("--exec", &all));
        }
        Err(WslError::Inside {
            program: program[..program.len().min(2)].join(" "),
            said: text::message(&all),
        })
    }

    /// Returns a command that runs a program in the distribution, as root.
    pub(super) fn inside(&self, program: &[&str]) -> Command {
        let mut command = self.command();
        let arguments = ["-d", NAME, "-u", "root", "--cd", "/", "--exec"];
        command.args(arguments).args(program);
        command
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        command.env("WSL_UTF8", "1");
        // Pass no variables of this console to Linux.
        command.env("WSLENV", OsString::new());
        spawn::in_own_group(&mut command);
        command
    }
}

async fn output(mut command: Command, time: Duration) -> Result<Output, WslError> {
    let output = command.kill_on_drop(true).output();
    match tokio::time::timeout(time, output).await {
        Ok(output) => output.map_err(WslError::Start),
        Err(_) => Err(WslError::Silent {
            what: "wsl.exe",
            time,
        }),
    }
}

fn refused(task: &str, said: &str) -> WslError {
    let code = text::code(said);
    let message = text::message(said);
    WslError::Refused {
        task: task.to_owned(),
        said: match code {
            Some(code) => format!("{message} ({code})"),
            None => message,
        },
        code: code.map_or(Code::Other, Code::of),
    }
}

/// Returns a path as an argument. Fails if it is not Unicode.
pub(super) fn text(path: &Path) -> Result<&str, WslError> {
    path.to_str().ok_or_else(|| WslError::Path(path.to_owned()))
}
