//! Parses the kind of a machine, of `--machine`, `LOCALD_MACHINE` and
//! `[machine] kind`.

use std::fmt;
use std::str::FromStr;

use protocol::{Failure, FailureKind};
use serde::Deserialize;

/// The environment variable that selects a machine.
pub(crate) const MACHINE_VARIABLE: &str = "LOCALD_MACHINE";

/// The kind of machine that builds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum MachineKind {
    /// The default of this system.
    #[default]
    Auto,
    /// This process. Linux only.
    InProcess,
    /// A virtual machine that QEMU runs. Linux only.
    Qemu,
    /// A virtual machine that lima runs.
    Lima,
    /// A WSL2 distribution. Windows only.
    Wsl2,
    /// A Linux machine that ssh reaches.
    Ssh(SshDestination),
}

/// A destination of ssh: `user@host`, `host`, or a name of the user's ssh
/// configuration, with a port if necessary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SshDestination {
    /// The host argument of ssh.
    pub(crate) host: String,
    /// The port of sshd. Absent means the port of ssh's configuration, or 22.
    pub(crate) port: Option<u16>,
}

/// The text is not a valid kind of machine.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a valid machine: use auto, in-process, qemu, lima, wsl2 or ssh://[USER@]HOST[:PORT]"
)]
pub(crate) struct BadMachineKind(String);

impl FromStr for MachineKind {
    type Err = BadMachineKind;

    fn from_str(text: &str) -> Result<Self, BadMachineKind> {
        Ok(match text {
            "auto" => Self::Auto,
            "in-process" => Self::InProcess,
            "qemu" => Self::Qemu,
            "lima" => Self::Lima,
            "wsl2" => Self::Wsl2,
            _ => {
                let destination = text.strip_prefix("ssh://").and_then(destination);
                Self::Ssh(destination.ok_or_else(|| BadMachineKind(text.to_owned()))?)
            }
        })
    }
}

impl MachineKind {
    /// Returns the default kind of this system.
    pub(crate) fn usual() -> Self {
        match std::env::consts::OS {
            "windows" => Self::Wsl2,
            "macos" => Self::Lima,
            _ => Self::InProcess,
        }
    }
}

impl TryFrom<String> for MachineKind {
    type Error = BadMachineKind;

    fn try_from(text: String) -> Result<Self, BadMachineKind> {
        text.parse()
    }
}

/// Parses a destination. Refuses text that ssh could read as an option or a
/// command.
fn destination(text: &str) -> Option<SshDestination> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port.parse().ok()?)),
        _ => (text, None),
    };
    let host = host.replace(['[', ']'], "");
    let plain = |c: char| c.is_alphanumeric() || ".-_@:%".contains(c);
    let name = host.rsplit_once('@').map_or(&*host, |(_, name)| name);
    let sound = !name.is_empty() && !name.starts_with('-') && !host.starts_with(['-', '@']);
    (sound && host.chars().all(plain)).then_some(SshDestination { host, port })
}

impl fmt::Display for MachineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::InProcess => f.write_str("in-process"),
            Self::Qemu => f.write_str("qemu"),
            Self::Lima => f.write_str("lima"),
            Self::Wsl2 => f.write_str("wsl2"),
            Self::Ssh(destination) => write!(f, "ssh://{destination}"),
        }
    }
}

impl fmt::Display for SshDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

impl From<BadMachineKind> for Failure {
    fn from(error: BadMachineKind) -> Self {
        Self::from_error(FailureKind::Invalid, &error)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn machines_are_named() {
        for text in [
            "auto",
            "in-process",
            "qemu",
            "lima",
            "wsl2",
            "ssh://me@server:2222",
            "ssh://server",
        ] {
            assert_eq!(text.parse::<MachineKind>().unwrap().to_string(), text);
        }
        let v6 = SshDestination {
            host: "me@fe80::1".to_owned(),
            port: Some(22),
        };
        assert_eq!("ssh://me@[fe80::1]:22".parse(), Ok(MachineKind::Ssh(v6)));
    }

    #[test]
    fn what_ssh_would_take_for_an_option_is_refused() {
        for text in [
            "",
            "vmware",
            "ssh://",
            "ssh://-oProxyCommand=x",
            "ssh://me@-x",
            "ssh://host:port",
            "ssh://a b",
            "ssh://@host",
            "ssh://host;id",
        ] {
            let error = text.parse::<MachineKind>().unwrap_err();
            assert!(error.to_string().contains("qemu"), "{error}");
        }
    }
}
