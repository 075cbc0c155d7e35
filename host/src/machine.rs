//! Where the agent is, and how it is reached.

mod exec;
#[cfg(target_os = "linux")]
mod in_process;
#[cfg(not(target_os = "linux"))]
#[path = "machine/in_process_unsupported.rs"]
mod in_process;
mod spawn;
#[cfg(unix)]
mod unix;
#[cfg(not(unix))]
#[path = "machine/unix_unsupported.rs"]
mod unix;
#[cfg(target_os = "linux")]
mod vsock;
#[cfg(not(target_os = "linux"))]
#[path = "machine/vsock_unsupported.rs"]
mod vsock;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use protocol::hello::Token;
use protocol::{Failure, FailureKind};

use crate::agent::{Agent, AgentError};

pub(crate) use in_process::dispatch;

/// The variable that names an agent.
pub(crate) const VARIABLE: &str = "LOCALD_AGENT";

/// Where the agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Machine {
    /// In this process; Linux only.
    InProcess,
    /// Behind a unix socket.
    Unix(PathBuf),
    /// Behind a vsock port; Linux only.
    Vsock {
        /// Context id of the machine.
        cid: u32,
        /// Port of the agent.
        port: u32,
    },
    /// A program that speaks on its standard input and output.
    Exec(Vec<String>),
}

/// The text of [`VARIABLE`] names no agent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE}={0:?} is none of unix:PATH, vsock:CID:PORT, exec:COMMAND")]
pub(crate) struct BadMachine(String);

/// The agent cannot be reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MachineError {
    /// This system has no such machine.
    #[cfg_attr(
        target_os = "linux",
        expect(dead_code, reason = "Linux has all of them")
    )]
    #[error("{0} works on Linux only")]
    NotHere(&'static str),
    /// The agent's own start has failed.
    #[error("the agent cannot start")]
    Start(Failure),
    /// Nobody listens.
    #[error("cannot connect to the agent at {address}")]
    Connect {
        /// Path, port or command.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something listens, but is of no use.
    #[error(transparent)]
    Agent(#[from] AgentError),
}

impl FromStr for Machine {
    type Err = BadMachine;

    fn from_str(text: &str) -> Result<Self, BadMachine> {
        parse(text).ok_or_else(|| BadMachine(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Machine> {
    let (kind, address) = text.split_once(':')?;
    match kind {
        "unix" if !address.is_empty() => Some(Machine::Unix(address.into())),
        "vsock" => {
            let (cid, port) = address.split_once(':')?;
            Some(Machine::Vsock {
                cid: cid.parse().ok()?,
                port: port.parse().ok()?,
            })
        }
        "exec" => {
            let words: Vec<String> = address.split_whitespace().map(str::to_owned).collect();
            (!words.is_empty()).then_some(Machine::Exec(words))
        }
        _ => None,
    }
}

impl Machine {
    /// What the environment names, else the usual one of this system.
    pub(crate) fn from_environment() -> Result<Self, BadMachine> {
        match std::env::var(VARIABLE) {
            Ok(text) if !text.is_empty() => text.parse(),
            _ => Ok(Self::InProcess),
        }
    }

    /// What must be done before this process has a second thread.
    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        match self {
            Self::InProcess => in_process::prepare(),
            Self::Unix(_) | Self::Vsock { .. } | Self::Exec(_) => Ok(()),
        }
    }

    /// Reaches the agent.
    pub(crate) async fn connect(&self) -> Result<Agent, MachineError> {
        let token = Token::default();
        match self {
            Self::InProcess => in_process::connect().await,
            Self::Unix(path) => {
                let stream = unix::connect(path).await;
                let stream = stream.map_err(|source| connect_error(path.display(), source))?;
                Ok(Agent::connect(stream, &token).await?)
            }
            Self::Vsock { cid, port } => {
                let stream = vsock::connect(*cid, *port).await;
                let address = format!("vsock:{cid}:{port}");
                let stream = stream.map_err(|source| connect_error(address, source))?;
                Ok(Agent::connect(stream, &vsock::token()?).await?)
            }
            Self::Exec(words) => {
                let stream = exec::connect(words);
                let stream = stream.map_err(|source| connect_error(words.join(" "), source))?;
                Ok(Agent::connect(stream, &token).await?)
            }
        }
    }
}

fn connect_error(address: impl std::fmt::Display, source: io::Error) -> MachineError {
    MachineError::Connect {
        address: address.to_string(),
        source,
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InProcess => f.write_str("in this process"),
            Self::Unix(path) => write!(f, "behind the socket {}", path.display()),
            Self::Vsock { cid, port } => write!(f, "behind vsock port {port} of machine {cid}"),
            Self::Exec(words) => write!(f, "the program `{}`", words.join(" ")),
        }
    }
}

impl From<Failure> for MachineError {
    fn from(failure: Failure) -> Self {
        Self::Start(failure)
    }
}

impl From<BadMachine> for Failure {
    fn from(error: BadMachine) -> Self {
        Self::from_error(FailureKind::Invalid, &error)
    }
}

impl From<MachineError> for Failure {
    fn from(error: MachineError) -> Self {
        match error {
            MachineError::Start(failure) => failure,
            error => Self::from_error(FailureKind::Machine, &error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn agents_are_named_by_where_they_are() {
        let exec = Machine::Exec(vec!["ssh".into(), "host".into(), "locald-agent".into()]);
        assert_eq!("exec:ssh host  locald-agent".parse(), Ok(exec));
        assert_eq!("unix:/run/x".parse(), Ok(Machine::Unix("/run/x".into())));
        let vsock = Machine::Vsock { cid: 3, port: 1024 };
        assert_eq!("vsock:3:1024".parse(), Ok(vsock));
        for text in [
            "",
            "unix:",
            "vsock:3",
            "vsock:x:1",
            "exec:",
            "tcp:1.2.3.4:5",
        ] {
            let error = text.parse::<Machine>().unwrap_err();
            assert!(error.to_string().contains("exec:COMMAND"), "{error}");
        }
    }
}
