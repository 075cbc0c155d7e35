//! The errors of a WSL2 machine.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use protocol::{Failure, FailureKind};

use super::code::Code;
use crate::connection::agent::AgentError;
use crate::machine::agent_file::AgentFileError;
use crate::machine::colon;

/// Why the machine cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum WslError {
    /// WSL is not installed, or this system is not Windows.
    #[error("wsl.exe is not installed")]
    NoProgram,
    /// The system cannot execute wsl.exe.
    #[error("wsl.exe cannot be started")]
    Start(#[source] io::Error),
    /// wsl.exe did not answer in time.
    #[error("{what} did not answer within {} seconds", time.as_secs())]
    Silent { what: &'static str, time: Duration },
    /// wsl.exe failed.
    #[error("wsl.exe {task} failed{}", colon(said))]
    Refused {
        task: String,
        code: Code,
        said: String,
    },
    /// A program in the distribution failed.
    #[error("{program} failed in the machine{}", colon(said))]
    Inside { program: String, said: String },
    /// This locald has no root file system.
    #[error("there is no {}, the machine's root file system", .0.display())]
    NoRoot(PathBuf),
    /// WSL accepts Unicode paths only.
    #[error("the path {} is not Unicode", .0.display())]
    Path(PathBuf),
    /// The distribution's agent does not work, and this locald has no other
    /// one.
    #[error("the machine's agent does not answer, and no other came with this locald")]
    NoAgent,
    /// The replaced agent is still the old one.
    #[error("the machine still has the agent {found} after it was replaced")]
    OtherAgent { found: String },
    /// A step on this system failed.
    #[error("cannot {step}")]
    Io {
        step: &'static str,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    File(#[from] AgentFileError),
    #[error(transparent)]
    Agent(#[from] AgentError),
}

impl WslError {
    pub(super) fn io(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { step, source }
    }

    /// Returns the hint for the error.
    pub(super) fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoProgram => {
                "on Windows, as administrator: `wsl --install --no-distribution`; then restart"
            }
            Self::Start(_) => "run `wsl --status` in a console for details",
            Self::Silent { .. } => Code::Timeout.remedy(),
            Self::Refused { code, .. } => code.remedy(),
            Self::NoRoot(_) | Self::NoAgent => "unpack the archive of locald again, all of it",
            Self::OtherAgent { .. } | Self::Inside { .. } => Code::DiskCorrupted.remedy(),
            Self::File(_) => "put locald-agent-x86_64 beside locald, as it is in the archive",
            Self::Path(_) | Self::Io { .. } | Self::Agent(_) => return None,
        })
    }
}

impl From<WslError> for Failure {
    fn from(error: WslError) -> Self {
        let failure = Self::from_error(FailureKind::Machine, &error);
        match error.remedy() {
            Some(remedy) => failure.with_hint(remedy),
            None => failure,
        }
    }
}
