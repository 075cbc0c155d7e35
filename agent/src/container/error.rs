//! Defines the errors of a container's start.

use std::fmt;
use std::io;
use std::path::PathBuf;

use protocol::{Failure, FailureKind};

use super::message::SetupError;
use super::spec::SpecError;

/// A container could not be started, or its runner was lost.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// The specification is not valid.
    #[error("the container is refused")]
    Refused(#[from] SpecError),
    /// The agent cannot use its own directory for containers.
    #[error("the state directory {} cannot be used", path.display())]
    State {
        /// Path of the directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The agent could not start the runner.
    #[error("the container's runner cannot be started")]
    Runner(#[source] io::Error),
    /// The runner ended without a report.
    #[error("the container's runner ended unexpectedly ({status})")]
    RunnerLost {
        /// The exit status of the runner.
        status: std::process::ExitStatus,
        /// The log of the runner.
        #[source]
        log: Option<Chain>,
    },
    /// A step of the runner or of the container's init failed.
    #[error("the container cannot be set up")]
    Setup(#[source] Chain),
    /// A path that must be a directory leads elsewhere in the image.
    #[error("the image has no directory at {}", path.display())]
    ReservedPath {
        /// The path in the image.
        path: PathBuf,
    },
    /// The program's user cannot enter the working directory.
    #[error("the working directory {} of the container cannot be entered", path.display())]
    WorkingDirectory {
        /// Path in the container.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The kernel cannot execute the program.
    #[error("{program:?} cannot be run in the container")]
    Program {
        /// The program, as the user wrote it.
        program: String,
        /// The cause: not found, not executable, for another machine.
        #[source]
        source: io::Error,
    },
    /// The kernel cannot execute the interpreter of the program.
    #[error("{program:?} cannot be run in the container: it needs {interpreter:?}")]
    Interpreter {
        /// The program, as the user wrote it.
        program: String,
        /// The interpreter of a script, or the dynamic linker.
        interpreter: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The container's input, output or terminal failed.
    #[error("the container's standard streams cannot be connected")]
    Streams(#[source] io::Error),
}

impl ContainerError {
    pub(super) fn from_setup(error: SetupError, program: &str, cwd: &std::path::Path) -> Self {
        match error {
            SetupError::Step { chain } => Self::Setup(Chain::new(chain)),
            SetupError::ReservedPath { path } => Self::ReservedPath { path },
            SetupError::WorkingDirectory { errno } => Self::WorkingDirectory {
                path: cwd.to_owned(),
                source: io::Error::from_raw_os_error(errno),
            },
            SetupError::Program { errno } => Self::Program {
                program: program.to_owned(),
                source: io::Error::from_raw_os_error(errno),
            },
            SetupError::Interpreter { interpreter, errno } => Self::Interpreter {
                program: program.to_owned(),
                interpreter,
                source: io::Error::from_raw_os_error(errno),
            },
        }
    }

    fn kind(&self) -> FailureKind {
        match self {
            Self::Refused(_) => FailureKind::Invalid,
            Self::State { .. } => FailureKind::Store,
            Self::ReservedPath { .. } => FailureKind::Integrity,
            _ => FailureKind::Container,
        }
    }

    /// The hint for the user, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Setup(_) | Self::RunnerLost { .. } => {
                Some("`locald doctor` tells what this machine lacks for containers".to_owned())
            }
            Self::Program { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("name a program that is in the image, on its PATH".to_owned())
            }
            Self::Interpreter { interpreter, .. } if interpreter.ends_with('\r') => Some(
                "the lines of the script end as on Windows: save it with LF, not CRLF".to_owned(),
            ),
            Self::Interpreter { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("use an image that has it, or a program that needs another".to_owned())
            }
            Self::Interpreter { interpreter, .. } => Some(format!(
                "make {interpreter} a file that the image's user may execute"
            )),
            Self::ReservedPath { .. } => {
                Some("use another image: this one cannot be run safely".to_owned())
            }
            _ => None,
        }
    }
}

impl From<ContainerError> for Failure {
    fn from(error: ContainerError) -> Self {
        let failure = Self::from_error(error.kind(), &error);
        match error.hint() {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

/// An error of another process, with its causes.
#[derive(Debug)]
pub struct Chain {
    text: String,
    cause: Option<Box<Self>>,
}

impl Chain {
    /// Makes an error from the messages of a chain, the outermost first.
    pub(super) fn new(texts: Vec<String>) -> Self {
        let chain = texts.into_iter().rev().fold(None, |cause, text| {
            let cause = cause.map(Box::new);
            Some(Self { text, cause })
        });
        chain.unwrap_or_else(|| Self {
            text: "no reason was given".to_owned(),
            cause: None,
        })
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Chain {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::{Chain, ContainerError};
    use protocol::{Failure, FailureKind};

    #[test]
    fn causes_of_another_process_survive() {
        let chain = Chain::new(vec!["mount failed".to_owned(), "no space".to_owned()]);
        let failure = Failure::from(ContainerError::Setup(chain));
        assert_eq!(failure.kind, FailureKind::Container);
        assert_eq!(failure.causes, ["mount failed", "no space"]);
        assert!(failure.hint.is_some());
    }
}
