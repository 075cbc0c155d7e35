//! Uses a Linux machine that ssh reaches. locald copies the agent there and
//! speaks with it over standard streams; nothing keeps running. It always runs
//! the user's own OpenSSH client, with the user's configuration, keys, agents
//! and jump hosts.

mod doctor;
mod remote;

use std::fmt;
use std::future::ready;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use protocol::event::Check;
use protocol::hello::Token;
use protocol::{Failure, FailureKind};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use super::address::exec::ChildStream;
use super::agent_file::{self, AgentFile, AgentFileError};
use super::{Kept, Machine, Pending, Status, colon, spawn};
use crate::connection::agent::{AgentConnection, AgentError};
use crate::output::Printer;
use crate::report::MachineState;
use crate::settings::SshDestination;

pub(super) use doctor::checks;
use remote::{AgentScope, Greeting};

/// The time limit for a connection that only asks for the status.
const LOOK: Duration = Duration::from_secs(10);
/// The maximum output of a login shell before locald's first line, in bytes.
const NOISE: usize = 64 * 1024;

/// A machine that ssh reaches.
#[derive(Debug)]
pub(crate) struct Ssh {
    /// The machine's name in messages.
    name: String,
    /// Arguments of ssh in addition to locald's options. The host is the last
    /// one.
    arguments: Vec<String>,
    scope: AgentScope,
}

/// Why the machine cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SshError {
    /// ssh cannot be executed.
    #[error("ssh cannot be started")]
    Program(#[source] io::Error),
    /// ssh ended before locald's script ran.
    #[error("ssh cannot reach {destination}{}", colon(reason))]
    Unreachable { destination: String, reason: String },
    /// locald has no agent for this system.
    #[error("{destination} is {system}, for which this locald has no agent")]
    NoAgent { destination: String, system: String },
    /// The remote script could not store the agent.
    #[error("the agent cannot be copied to {destination}{}", colon(reason))]
    Push { destination: String, reason: String },
    /// The agent is missing although the remote script has stored it.
    #[error("the agent was copied to {destination}, but is missing there")]
    Lost { destination: String },
    /// The agents on the machine cannot be removed.
    #[error("the agents on {destination} cannot be removed{}", colon(reason))]
    Remove { destination: String, reason: String },
    #[error(transparent)]
    File(#[from] AgentFileError),
    #[error(transparent)]
    Agent(#[from] AgentError),
}

/// How ssh uses the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// It may ask questions, and print to the terminal.
    Open,
    /// It asks nothing. locald captures its output.
    Quiet,
}

impl Ssh {
    /// A machine that the user names.
    pub(super) fn new(destination: &SshDestination) -> Self {
        let mut arguments = Vec::new();
        if let Some(port) = destination.port {
            arguments.extend(["-p".to_owned(), port.to_string()]);
        }
        arguments.push(destination.host.clone());
        Self {
            name: format!("ssh://{destination}"),
            arguments,
            scope: AgentScope::OwnAgent,
        }
    }

    /// A virtual machine on this system. Its agent runs as root and manages the
    /// machine.
    pub(super) fn to_guest(name: &str, configuration: &Path, host: &str) -> Self {
        let configuration = configuration.display().to_string();
        Self {
            name: name.to_owned(),
            // A master connection would outlive the command and keep its
            // standard error open.
            arguments: ["-F", &configuration, "-o", "ControlMaster=no", host]
                .map(str::to_owned)
                .to_vec(),
            scope: AgentScope::MachinesAgent,
        }
    }

    /// Connects with the agent, and copies it there first if it is missing.
    pub(super) async fn connect_with(
        &self,
        printer: &mut Printer,
    ) -> Result<AgentConnection, SshError> {
        let agents = agent_file::all()?;
        if let Some(agent) = self.reach(&agents, Manner::Open, Some(printer)).await? {
            return Ok(agent);
        }
        let again = self.reach(&agents, Manner::Open, None).await?;
        again.ok_or_else(|| SshError::Lost {
            destination: self.name.clone(),
        })
    }

    pub(super) async fn find_status(&self) -> Status {
        let reached = async {
            let agents = agent_file::all()?;
            self.reach(&agents, Manner::Quiet, None).await
        };
        let unreachable = |reason: &str| SshError::Unreachable {
            destination: self.name.clone(),
            reason: reason.to_owned(),
        };
        let status = match tokio::time::timeout(LOOK, reached).await {
            Ok(Ok(Some(agent))) => Status::running(agent),
            Ok(Ok(None)) => Status::without_agent(MachineState::Absent, None),
            Ok(Err(error)) => Status::at(Err(error.into())),
            Err(_) => Status::at(Err(unreachable("no answer in 10 seconds").into())),
        };
        Status {
            transport: Some("ssh".to_owned()),
            ..status
        }
    }

    /// Starts the agent and connects with it. If it is missing, returns `None`,
    /// after copying it if `printer` is given.
    async fn reach(
        &self,
        agents: &[AgentFile],
        manner: Manner,
        printer: Option<&mut Printer>,
    ) -> Result<Option<AgentConnection>, SshError> {
        let mut command = self.command(manner, &remote::start(agents, self.scope));
        if manner == Manner::Quiet {
            command.stderr(Stdio::null());
        }
        let mut stream = ChildStream::start(command).map_err(SshError::Program)?;
        let greeting = greeting(&mut stream).await;
        match greeting {
            Some(Greeting::Ready) => {
                let agent = AgentConnection::connect(stream, &Token::default()).await?;
                Ok(Some(agent))
            }
            Some(Greeting::Missing { system }) => {
                drop(stream);
                let Some(printer) = printer else {
                    return Ok(None);
                };
                let fitting = agents.iter().find(|agent| remote::runs_on(agent, &system));
                let agent = fitting.ok_or_else(|| SshError::NoAgent {
                    destination: self.name.clone(),
                    system,
                })?;
                printer.note(&format!("Copying the agent to {}", self.name));
                self.push(agent).await?;
                Ok(None)
            }
            None => Err(SshError::Unreachable {
                destination: self.name.clone(),
                reason: match manner {
                    Manner::Open => String::new(),
                    Manner::Quiet => self.reason().await,
                },
            }),
        }
    }

    /// Runs ssh again to find out why the connection fails.
    async fn reason(&self) -> String {
        let mut command = self.command(Manner::Quiet, "true");
        let output = command
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await;
        output.map_or_else(
            |error| error.to_string(),
            |output| last_line(&output.stderr),
        )
    }

    async fn push(&self, agent: &AgentFile) -> Result<(), SshError> {
        let failed = |reason: String| SshError::Push {
            destination: self.name.clone(),
            reason,
        };
        let file = fs_err::File::open(&agent.path).map_err(AgentFileError::from)?;
        let size = file.metadata().map_err(AgentFileError::from)?.len();
        let mut command = self.command(Manner::Open, &remote::store(agent, size));
        command.stdin(Stdio::from(file.into_parts().0));
        let output = command
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output()
            .await;
        let output = output.map_err(SshError::Program)?;
        if output.status.success() {
            return Ok(());
        }
        Err(failed(last_line(&output.stderr)))
    }

    /// Removes the copied agents.
    async fn remove_agents(&self) -> Result<(), SshError> {
        let mut command = self.command(Manner::Open, remote::REMOVE);
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let output = command.kill_on_drop(true).output().await;
        let output = output.map_err(SshError::Program)?;
        if output.status.success() {
            return Ok(());
        }
        Err(SshError::Remove {
            destination: self.name.clone(),
            reason: last_line(&output.stderr),
        })
    }

    /// Runs a shell or a command on the machine. Returns its exit code.
    fn run_here(&self, command: &[String]) -> Result<u8, Failure> {
        let mut ssh = std::process::Command::new("ssh");
        ssh.args(&self.arguments);
        if !command.is_empty() {
            // The remote shell joins the words and parses them again.
            let quoted = command.iter().map(|word| remote::word(word));
            ssh.arg("--").arg(quoted.collect::<Vec<_>>().join(" "));
        }
        let status = ssh.status().map_err(SshError::Program)?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(code.unwrap_or(u8::MAX))
    }

    fn command(&self, manner: Manner, script: &str) -> Command {
        let mut command = spawn::ignoring_interrupts("ssh");
        command.args([
            "-T",
            "-o",
            "ServerAliveInterval=15",
            "-o",
            "ServerAliveCountMax=4",
        ]);
        if manner == Manner::Quiet {
            command.args(["-o", "BatchMode=yes"]);
        }
        command.args(&self.arguments);
        command.arg("--").arg(remote::quote(script));
        command
    }
}

impl Machine for Ssh {
    fn kept(&self) -> Kept {
        Kept::Agent
    }

    fn connect<'a>(
        &'a self,
        printer: &'a mut Printer,
    ) -> Pending<'a, Result<AgentConnection, Failure>> {
        Box::pin(async { Ok(self.connect_with(printer).await?) })
    }

    fn status(&self) -> Pending<'_, Status> {
        Box::pin(self.find_status())
    }

    fn shell(&self, command: &[String]) -> Option<Result<u8, Failure>> {
        Some(self.run_here(command))
    }

    fn remove(&self) -> Pending<'_, Result<(), Failure>> {
        Box::pin(async { Ok(self.remove_agents().await?) })
    }

    fn doctor(&self) -> Pending<'_, Vec<Check>> {
        Box::pin(ready(checks()))
    }
}

/// Reads the first line of locald's script, and skips the output of the login
/// shell before it. Returns `None` if the stream ends.
async fn greeting(stream: &mut (impl AsyncRead + Unpin)) -> Option<Greeting> {
    let mut line = Vec::new();
    for _ in 0..NOISE {
        // Read single bytes: the bytes after the line belong to the agent.
        match stream.read_u8().await.ok()? {
            b'\n' => {
                if let Some(greeting) = Greeting::parse(&String::from_utf8_lossy(&line)) {
                    return Some(greeting);
                }
                line.clear();
            }
            byte => line.push(byte),
        }
    }
    None
}

fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    line.unwrap_or_default().trim().to_owned()
}

impl fmt::Display for Ssh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl From<SshError> for Failure {
    fn from(error: SshError) -> Self {
        let hint = match &error {
            SshError::File(_) => {
                "install locald-agent beside locald, or name the folder it is in by LOCALD_AGENTS"
            }
            SshError::Program(_) => "install the OpenSSH client",
            SshError::NoAgent { .. } => "put locald-agent-ARCHITECTURE beside locald",
            SshError::Unreachable { .. } | SshError::Push { .. } => {
                "run `ssh` with the same destination for details"
            }
            SshError::Lost { .. } | SshError::Remove { .. } | SshError::Agent(_) => {
                return Self::from_error(FailureKind::Machine, &error);
            }
        };
        Self::from_error(FailureKind::Machine, &error).with_hint(hint)
    }
}
