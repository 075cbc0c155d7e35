//! The errors of a QEMU machine.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use protocol::{Failure, FailureKind};

use super::download::DownloadError;
use crate::connection::agent::AgentError;

/// Why the machine cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum QemuError {
    #[error("{program} is missing")]
    Missing { program: &'static str },
    #[error("there is no guest for the machine: {} has no {file}", folder.display())]
    NoGuest { folder: PathBuf, file: &'static str },
    #[error("the guest in {} is for {found}, not for x86_64 or aarch64", folder.display())]
    GuestArchitecture { folder: PathBuf, found: String },
    #[error(transparent)]
    Download(#[from] DownloadError),
    #[error("cannot {step}")]
    Io {
        step: String,
        #[source]
        source: io::Error,
    },
    #[error("{program} failed: {said}")]
    Program { program: &'static str, said: String },
    #[error("the machine ended while it started{}", of_log(log))]
    EndedAtStart { log: Vec<String> },
    #[error("the machine's agent did not listen within {} s{}", time.as_secs(), of_log(log))]
    StartDeadline { time: Duration, log: Vec<String> },
    #[error("the machine crashed: {how}")]
    Crashed { how: String },
    #[error("the machine runs but did not answer within {} s", time.as_secs())]
    Hung { time: Duration },
    #[error("the machine still runs {} s after the request to stop", time.as_secs())]
    StillRunning { time: Duration },
    #[error("the machine still has the agent {found} after a restart")]
    OtherAgent { found: String },
    #[error("the machine's socket {}", .0)]
    Dial(String),
    #[error("the machine's socket has no agent behind it")]
    NoAgent,
    #[error("the disk has {now} bytes and cannot become smaller")]
    Shrink { now: u64 },
    #[error(transparent)]
    Agent(#[from] AgentError),
}

/// Returns the last lines of a log as a part of a message.
fn of_log(log: &[String]) -> String {
    if log.is_empty() {
        String::new()
    } else {
        format!("; its last words: {}", log.join(" | "))
    }
}

impl QemuError {
    pub(super) fn io(step: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let step = step.into();
        move |source| Self::Io { step, source }
    }

    fn is_disk_full(&self) -> bool {
        let (Self::Io { source, .. } | Self::Download(DownloadError::Store { source, .. })) = self
        else {
            return false;
        };
        protocol::is_full(source)
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Missing { program } => return Some(format!("install it: {}", package(program))),
            Self::NoGuest { .. } => {
                "build one: vm-images/guest FOLDER, and set guest = \"FOLDER\" in [machine]"
            }
            Self::Hung { .. } | Self::StillRunning { .. } | Self::Dial(_) | Self::NoAgent => {
                "`locald vm restart --force` ends it and starts it again; images are kept"
            }
            Self::EndedAtStart { .. } | Self::StartDeadline { .. } => {
                "`locald vm logs` shows all, `locald vm doctor` what this system lacks"
            }
            Self::Crashed { .. } => "the next command starts it again; `locald vm logs` shows more",
            Self::Agent(_) => "`locald vm restart` starts it again",
            _ if self.is_disk_full() => "free some space on this system's disk",
            Self::GuestArchitecture { .. } => "name another folder as guest in [machine]",
            Self::Download(error) => error.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Returns the Debian package of a program.
pub(super) fn package(program: &str) -> String {
    match program {
        "vhost-device-vsock" => "cargo install vhost-device-vsock --version 0.3.0".to_owned(),
        "qemu-img" => "apt install qemu-utils".to_owned(),
        _ => "apt install qemu-system".to_owned(),
    }
}

impl From<QemuError> for Failure {
    fn from(error: QemuError) -> Self {
        let kind = match &error {
            _ if error.is_disk_full() => FailureKind::DiskFull,
            QemuError::Shrink { .. } => FailureKind::Invalid,
            _ => FailureKind::Machine,
        };
        let failure = Self::from_error(kind, &error);
        match error.hint() {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}
