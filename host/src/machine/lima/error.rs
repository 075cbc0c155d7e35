//! The errors of a lima machine.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use protocol::{Failure, FailureKind};

use crate::machine::ssh::SshError;

/// Why the machine cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::machine) enum LimaError {
    /// limactl is not installed.
    #[error("lima is not installed: limactl is not on the PATH")]
    Missing,
    /// limactl is too old.
    #[error("limactl is version {version}, and locald needs 2.0.0 or newer")]
    TooOld {
        /// The version, as limactl prints it.
        version: String,
    },
    /// The paths of sockets in the folder are longer than the system allows.
    #[error("the path of lima's folder, {}, is too long: it may have {most} bytes", home.display())]
    LongHome {
        /// The folder.
        home: PathBuf,
        /// The maximum length of the folder's path, in bytes.
        most: usize,
    },
    /// The system cannot execute limactl.
    #[error("limactl cannot be started")]
    Program(#[source] io::Error),
    /// limactl failed.
    #[error("limactl {command} failed: {reason}")]
    Failed {
        /// The first argument of limactl.
        command: String,
        /// The last message of limactl.
        reason: String,
    },
    /// limactl did not end in time.
    #[error("limactl {command} did not end within {} s", limit.as_secs())]
    NoAnswer {
        /// The first argument of limactl.
        command: String,
        /// The time limit.
        limit: Duration,
    },
    /// The output of `limactl list` is not valid JSON.
    #[error("the output of limactl list is not valid")]
    Malformed {
        /// The reason.
        #[source]
        source: serde_json::Error,
    },
    /// The guest did not start.
    #[error("the virtual machine did not start: {reason}")]
    Start {
        /// limactl's last message, or the reason in the log of the machine.
        reason: String,
        /// The last lines of the most useful log.
        log: Vec<String>,
    },
    /// The guest runs, and its agent does not answer.
    #[error("the machine did not answer within {} s", limit.as_secs())]
    Silent {
        /// The time limit.
        limit: Duration,
    },
    /// lima reports that the instance is broken.
    #[error("lima reports: {errors}")]
    Broken {
        /// The messages of lima.
        errors: String,
    },
    /// The requested disk is smaller than the present one.
    #[error("the disk has {} GiB already, and can only grow", now >> 30)]
    Shrink {
        /// Present size in bytes.
        now: u64,
    },
    /// The host cannot write lima's folder.
    #[error("lima's folder cannot be prepared")]
    Folder(#[source] io::Error),
    /// The agent in the guest cannot be reached.
    #[error(transparent)]
    Ssh(#[from] SshError),
}

impl LimaError {
    /// Whether QEMU failed to use KVM.
    pub(super) fn is_of_kvm(&self) -> bool {
        matches!(self, Self::Start { reason, .. } if is_of_kvm(reason))
    }
}

/// Whether a message of QEMU is about KVM.
pub(super) fn is_of_kvm(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    [
        "initialize kvm",
        "kvm_buf_set_msrs",
        "kvm:",
        "error: failed to set msr",
    ]
    .iter()
    .any(|words| said.contains(words))
}

impl From<LimaError> for Failure {
    fn from(error: LimaError) -> Self {
        if let LimaError::Ssh(error) = error {
            return error.into();
        }
        let mut failure = Self::from_error(FailureKind::Machine, &error);
        if let LimaError::Start { log, .. } = &error {
            failure.causes.extend_from_slice(log);
        }
        match hint(&error) {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

/// Returns the next step for an error, by its kind or by lima's message.
fn hint(error: &LimaError) -> Option<&'static str> {
    let reason = match error {
        LimaError::Missing | LimaError::TooOld { .. } => {
            return Some(
                "install it: `brew install lima`, or see https://lima-vm.io/docs/installation/",
            );
        }
        LimaError::LongHome { .. } => {
            return Some("set LOCALD_HOME to a folder with a short path");
        }
        LimaError::Failed { reason, .. } | LimaError::Start { reason, .. } => reason,
        LimaError::NoAnswer { .. } | LimaError::Silent { .. } => {
            return Some("`locald vm reset` makes the machine anew");
        }
        _ => return None,
    };
    REMEDIES
        .iter()
        .find(|(text, _)| reason.contains(text))
        .map(|(_, remedy)| *remedy)
        .or_else(|| {
            matches!(error, LimaError::Start { .. })
                .then_some("`locald vm logs` shows more; `locald vm reset` makes the machine anew")
        })
}

/// Parts of lima's messages, and the hint for each.
const REMEDIES: [(&str, &str); 6] = [
    (
        "must not run as the root user",
        "run locald as an ordinary user: lima refuses root",
    ),
    (
        "failed to download",
        "the guest's image must be readable and the network there; `[machine] guest` names another image",
    ),
    (
        "digest",
        "the guest's image is not the one that was asked for: check `guest-digest`, or remove lima's download cache",
    ),
    (
        "no space left on device",
        "free some space, or make the disk of the machine smaller (`[machine] disk`)",
    ),
    (
        "guest agent binary could not be found",
        "lima is installed incompletely: install it again",
    ),
    (
        "failed to initialize kvm",
        "KVM cannot be used here: `locald vm doctor` says why",
    ),
];
