//! The errors of a lima machine.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use protocol::{Failure, FailureKind};

use crate::machine::ssh::SshError;

/// The machine cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::machine) enum LimaError {
    /// There is no limactl.
    #[error("lima is not installed: limactl is not on the PATH")]
    Missing,
    /// It is of an earlier time.
    #[error("limactl is version {version}, and locald needs 2.0.0 or newer")]
    TooOld {
        /// As it says it.
        version: String,
    },
    /// Sockets would have names that the system refuses.
    #[error("the path of lima's folder, {}, is too long: it may have {most} bytes", home.display())]
    LongHome {
        /// The folder.
        home: PathBuf,
        /// Bytes.
        most: usize,
    },
    /// limactl cannot be executed.
    #[error("limactl cannot be started")]
    Program(#[source] io::Error),
    /// limactl says no.
    #[error("limactl {command} failed: {reason}")]
    Failed {
        /// Its first argument.
        command: String,
        /// The last message.
        reason: String,
    },
    /// limactl says nothing.
    #[error("limactl {command} did not end within {} s", limit.as_secs())]
    NoAnswer {
        /// Its first argument.
        command: String,
        /// How long was waited.
        limit: Duration,
    },
    /// limactl says what nobody knows.
    #[error("the output of limactl list is not valid")]
    Malformed {
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The guest did not come up.
    #[error("the virtual machine did not start: {reason}")]
    Start {
        /// limactl's last message, or the reason in the log of the machine.
        reason: String,
        /// The end of the log that tells most.
        log: Vec<String>,
    },
    /// The guest runs, and its agent says nothing.
    #[error("the machine did not answer within {} s", limit.as_secs())]
    Silent {
        /// How long was waited.
        limit: Duration,
    },
    /// lima has found something wrong.
    #[error("lima reports: {errors}")]
    Broken {
        /// All that it says.
        errors: String,
    },
    /// A disk cannot become smaller.
    #[error("the disk has {} GiB already, and can only grow", now >> 30)]
    Shrink {
        /// Bytes.
        now: u64,
    },
    /// A file of the host's is in the way.
    #[error("lima's folder cannot be prepared")]
    Folder(#[source] io::Error),
    /// The agent in the guest.
    #[error(transparent)]
    Ssh(#[from] SshError),
}

impl LimaError {
    /// Whether QEMU could not use the processor's virtualisation.
    pub(super) fn is_of_kvm(&self) -> bool {
        matches!(self, Self::Start { reason, .. } if is_of_kvm(reason))
    }
}

/// Whether QEMU complains of the processor's virtualisation.
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

/// The next step, by the kind of failure or by what lima's messages mean.
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

/// What lima says, and what helps.
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
