//! Defines the errors of a runner.

use std::io;
use std::path::PathBuf;

use libcontainer::error::LibcontainerError;
use libcontainer::oci_spec::OciSpecError;

use crate::container::message::SetupError;
use crate::container::network::NetworkError;

/// A failed step of a runner.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunnerError {
    #[error("the runner is not a fresh process")]
    Threads(#[source] io::Error),
    #[error("the agent's configuration cannot be read")]
    RunnerConfig(#[source] io::Error),
    #[error("the runner cannot keep a log")]
    Log(#[source] io::Error),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error("the prepared network namespace cannot be joined")]
    JoinNetwork(#[source] io::Error),
    #[error("no private mount namespace can be made")]
    MountNamespace(#[source] io::Error),
    #[error("the container's mount namespace cannot be entered")]
    EnterContainer(#[source] io::Error),
    #[error("the runner's own files cannot be made at {}", path.display())]
    Scratch {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{layers} layers cannot be stacked at {}", target.display())]
    Overlay {
        target: PathBuf,
        layers: usize,
        #[source]
        source: io::Error,
    },
    #[error("the image has no directory at {}", .0.display())]
    ReservedPath(PathBuf),
    #[error("the directory {} cannot be made in the container", path.display())]
    Directory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} cannot be mounted in the container", target.display())]
    Mount {
        target: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the container's configuration cannot be made")]
    Configuration(#[from] OciSpecError),
    #[error("the container's namespaces cannot be made")]
    Runtime {
        #[source]
        source: Box<LibcontainerError>,
        /// libcontainer's log, the only place where it writes the causes.
        log: Vec<String>,
    },
    #[error("the container's init does not answer")]
    InitMessage(#[source] io::Error),
    #[error("the container's init cannot be waited for")]
    Wait(#[source] io::Error),
    #[error("the container's init failed")]
    Init(SetupError),
}

impl RunnerError {
    /// Converts it to the error for the agent.
    pub(super) fn into_setup_error(self) -> SetupError {
        match self {
            Self::Init(error) => error,
            Self::ReservedPath(path) => SetupError::ReservedPath { path },
            Self::Runtime { ref log, .. } => {
                let chain = std::iter::successors(
                    Some(&self as &(dyn std::error::Error + 'static)),
                    |error| error.source(),
                );
                let texts = chain.map(ToString::to_string);
                // The first line of the log is the deepest cause.
                SetupError::from_chain(texts.chain(log.iter().rev().cloned()))
            }
            other => SetupError::from_error(&other),
        }
    }
}
