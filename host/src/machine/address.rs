//! The agent that `LOCALD_AGENT` names. Another program manages it.

pub(super) mod exec;
#[cfg(unix)]
mod unix;
#[cfg(not(unix))]
#[path = "address/unix_unsupported.rs"]
mod unix;
#[cfg(target_os = "linux")]
pub(super) mod vsock;
#[cfg(not(target_os = "linux"))]
#[path = "address/vsock_unsupported.rs"]
pub(super) mod vsock;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use protocol::hello::Token;
use protocol::{Failure, FailureKind};

use super::{Machine, MachineError, Pending, Status};
use crate::connection::agent::AgentConnection;
use crate::output::Printer;

/// The environment variable with the agent's address.
pub(crate) const VARIABLE: &str = "LOCALD_AGENT";

/// The address of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    way: Way,
    /// Whether the agent's network and files differ from this system's. True
    /// for an address with `remote+`, and for vsock to another machine.
    is_remote: bool,
}

/// The transport to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// A Unix socket.
    Unix(PathBuf),
    /// A vsock port. Linux only.
    Vsock {
        /// Context id of the machine.
        cid: u32,
        /// Port of the agent.
        port: u32,
    },
    /// A program that speaks the protocol on its standard input and output.
    Exec(Vec<String>),
}

/// The text of [`VARIABLE`] is not a valid address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{VARIABLE}={0:?} is not a valid address: write [remote+]unix:PATH, vsock:CID:PORT or exec:COMMAND"
)]
pub(crate) struct BadAddress(String);

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (told, way) = match text.strip_prefix(REMOTE) {
            Some(way) => (true, way),
            None => (false, text),
        };
        let way = parse(way).ok_or_else(|| BadAddress(text.to_owned()))?;
        let is_remote = told || matches!(way, Way::Vsock { .. });
        Ok(Self { way, is_remote })
    }
}

/// The prefix for an agent that does not see this system's files.
const REMOTE: &str = "remote+";

fn parse(text: &str) -> Option<Way> {
    let (kind, address) = text.split_once(':')?;
    match kind {
        "unix" if !address.is_empty() => Some(Way::Unix(address.into())),
        "vsock" => {
            let (cid, port) = address.split_once(':')?;
            Some(Way::Vsock {
                cid: cid.parse().ok()?,
                port: port.parse().ok()?,
            })
        }
        "exec" => {
            let words: Vec<String> = address.split_whitespace().map(str::to_owned).collect();
            (!words.is_empty()).then_some(Way::Exec(words))
        }
        _ => None,
    }
}

impl Machine for Address {
    fn is_remote(&self) -> bool {
        self.is_remote
    }

    fn connect<'a>(&'a self, _: &'a mut Printer) -> Pending<'a, Result<AgentConnection, Failure>> {
        Box::pin(async { Ok(self.dial().await?) })
    }

    fn status(&self) -> Pending<'_, Status> {
        Box::pin(async { Status::at(self.dial().await.map_err(Failure::from)) })
    }
}

impl Address {
    async fn dial(&self) -> Result<AgentConnection, MachineError> {
        let token = Token::default();
        match &self.way {
            Way::Unix(path) => {
                let stream = unix::connect(path).await;
                let stream = stream.map_err(|source| failed(path.display(), source))?;
                Ok(AgentConnection::connect(stream, &token).await?)
            }
            Way::Vsock { cid, port } => {
                let stream = vsock::connect(*cid, *port).await;
                let address = format!("vsock:{cid}:{port}");
                let stream = stream.map_err(|source| failed(address, source))?;
                Ok(AgentConnection::connect(stream, &vsock::token()?).await?)
            }
            Way::Exec(words) => {
                let stream = exec::connect(words);
                let stream = stream.map_err(|source| failed(words.join(" "), source))?;
                Ok(AgentConnection::connect(stream, &token).await?)
            }
        }
    }
}

fn failed(address: impl fmt::Display, source: io::Error) -> MachineError {
    MachineError::Connect {
        address: address.to_string(),
        source,
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::Unix(path) => write!(f, "behind the socket {}", path.display()),
            Way::Vsock { cid, port } => write!(f, "behind vsock port {port} of machine {cid}"),
            Way::Exec(words) => write!(f, "the program `{}`", words.join(" ")),
        }
    }
}

impl From<BadAddress> for Failure {
    fn from(error: BadAddress) -> Self {
        Self::from_error(FailureKind::Invalid, &error)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn agents_are_named_by_where_they_are() {
        let address = |way, is_remote| Ok(Address { way, is_remote });
        let exec = || Way::Exec(vec!["ssh".into(), "host".into(), "locald-agent".into()]);
        assert_eq!(
            "exec:ssh host  locald-agent".parse(),
            address(exec(), false)
        );
        let remote = "remote+exec:ssh host locald-agent".parse();
        assert_eq!(remote, address(exec(), true));
        assert_eq!(
            "unix:/run/x".parse(),
            address(Way::Unix("/run/x".into()), false)
        );
        let vsock = Way::Vsock { cid: 3, port: 1024 };
        assert_eq!("vsock:3:1024".parse(), address(vsock, true));
        for text in [
            "",
            "unix:",
            "vsock:3",
            "vsock:x:1",
            "exec:",
            "tcp:1.2.3.4:5",
            "remote+",
            "remote+remote+exec:x",
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.to_string().contains("exec:COMMAND"), "{error}");
        }
    }
}
