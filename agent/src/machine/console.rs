//! Runs a program of the machine itself, outside any container, for
//! maintenance.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;

use protocol::input::Signal;
use protocol::request::Stdio;
use protocol::{Failure, FailureKind, Reply};
use rustix::process::{Pid, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::process::{Child, Command};

use crate::Agent;
use crate::container::{ContainerInput, ContainerOutput, Pipes, Terminal, of_system};
use crate::process::attach::{Program, attach};
use crate::request::stream::{Inputs, RequestStream};

const SHELL: &str = "/bin/sh";

/// Serves a request to run a program of the machine.
pub(crate) async fn console(
    agent: &Agent,
    command: &[String],
    stdio: Stdio,
    stream: &RequestStream,
    inputs: Inputs,
) -> Result<Reply, Failure> {
    agent.require_own("no program of it is started")?;
    let console = Console::start(command, stdio).map_err(|error| {
        let name = command.first().map_or(SHELL, String::as_str);
        let message = format!("{name} cannot be started in the machine: {error}");
        Failure::new(FailureKind::NotFound, message)
    })?;
    attach(console, stream, inputs).await
}

/// The program, the leader of its own session. Dropping it ends the session.
struct Console {
    child: Child,
    group: Option<Pid>,
    stdin: Option<ContainerInput>,
    stdout: Option<ContainerOutput>,
    stderr: Option<ContainerOutput>,
    terminal: Option<Terminal>,
}

impl Console {
    fn start(command: &[String], stdio: Stdio) -> io::Result<Self> {
        match stdio {
            Stdio::Pipes => {
                let pipes = Pipes::new()?;
                let child = spawn(command, &[], pipes.theirs)?;
                let mut console = Self::new(child, None);
                console.stdin = Some(pipes.stdin);
                console.stdout = Some(pipes.stdout);
                console.stderr = Some(pipes.stderr);
                Ok(console)
            }
            Stdio::Terminal { rows, columns } => {
                let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
                grantpt(&master)?;
                unlockpt(&master)?;
                let name = ptsname(&master, Vec::new())?;
                let slave = slave(&name.to_string_lossy())?;
                let theirs = [slave.try_clone()?, slave.try_clone()?, slave];
                let terminal = Terminal::new(master)?;
                let child = spawn(command, &["-c"], theirs)?;
                let console = Self::new(child, Some(terminal));
                console.resize(rows, columns)?;
                Ok(console)
            }
        }
    }

    fn new(child: Child, terminal: Option<Terminal>) -> Self {
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            stdin: terminal.as_ref().map(Terminal::input),
            stdout: terminal.as_ref().map(Terminal::output),
            stderr: None,
            group: group.and_then(Pid::from_raw),
            child,
            terminal,
        }
    }
}

fn slave(path: &str) -> io::Result<OwnedFd> {
    let file: File = fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)?
        .into_parts()
        .0;
    Ok(file.into())
}

/// Starts a command. `setsid` makes the session and its controlling terminal.
fn spawn(command: &[String], options: &[&str], theirs: [OwnedFd; 3]) -> io::Result<Child> {
    let [stdin, stdout, stderr] = theirs;
    let mut setsid = Command::new("setsid");
    setsid.args(options);
    match command {
        [] => setsid.arg(SHELL),
        words => setsid.args(words),
    };
    setsid.env("TERM", "xterm").env_remove("LOCALD_LOG");
    setsid.stdin(stdin).stdout(stdout).stderr(stderr).spawn()
}

impl Program for Console {
    type Input = ContainerInput;
    type Output = ContainerOutput;

    fn stdin(&mut self) -> Option<ContainerInput> {
        self.stdin.take()
    }

    fn stdout(&mut self) -> Option<ContainerOutput> {
        self.stdout.take()
    }

    fn stderr(&mut self) -> Option<ContainerOutput> {
        self.stderr.take()
    }

    fn process(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let signal = of_system(signal);
        match self.group.map(|group| kill_process_group(group, signal)) {
            None | Some(Ok(()) | Err(rustix::io::Errno::SRCH)) => Ok(()),
            Some(Err(error)) => Err(error.into()),
        }
    }

    fn stop(&self) -> io::Result<()> {
        self.signal(Signal::Hangup)
    }

    fn resize(&self, rows: u16, columns: u16) -> io::Result<()> {
        match &self.terminal {
            Some(terminal) => terminal.resize(crate::container::TerminalSize { rows, columns }),
            None => Ok(()),
        }
    }

    async fn wait(&mut self) -> Result<u8, Failure> {
        let ended = self.child.wait().await;
        ended
            .map(code)
            .map_err(|error| Failure::from_error(FailureKind::Machine, &error))
    }
}

/// The exit code, or 128 + the signal that killed the program.
fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}

impl Drop for Console {
    fn drop(&mut self) {
        // This fails if the program has already ended.
        let _ = self.signal(Signal::Kill);
    }
}
