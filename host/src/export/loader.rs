//! Runs `docker load` or `podman load`, which takes an image into its own
//! storage.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::process::{Child, ChildStdin, Command, Stdio};

use clap::ValueEnum;
use protocol::{Failure, FailureKind};

/// The maximum size of the program's output in an error, in bytes.
const SAID: u64 = 4096;

/// The program that loads an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tool {
    /// Docker
    Docker,
    /// Podman
    Podman,
}

/// A running program that reads an archive from its standard input. Dropping
/// this kills it.
#[derive(Debug)]
pub(crate) struct Loader {
    tool: Tool,
    child: Child,
    said: File,
}

/// Why the program did not load the image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("{0} is not installed")]
    NotInstalled(Tool),
    #[error("{tool} cannot be started")]
    Start {
        tool: Tool,
        #[source]
        source: io::Error,
    },
    #[error("`{tool} load` failed: {said}")]
    Failed { tool: Tool, said: String },
}

impl Loader {
    /// Starts the program. Call it before this process enters the agent's
    /// namespaces: the program must run as the user.
    pub(crate) fn start(tool: Tool) -> Result<(Self, ChildStdin), LoadError> {
        let failed = |source| LoadError::Start { tool, source };
        let program = which::which(tool.name()).map_err(|_| LoadError::NotInstalled(tool))?;
        let said = tempfile::tempfile().map_err(failed)?;
        let mut child = Command::new(program)
            .arg("load")
            .stdin(Stdio::piped())
            .stdout(said.try_clone().map_err(failed)?)
            .stderr(said.try_clone().map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        let no_input = || failed(io::ErrorKind::BrokenPipe.into());
        let input = child.stdin.take().ok_or_else(no_input)?;
        Ok((Self { tool, child, said }, input))
    }

    /// Waits until the program ends. Close its standard input first.
    pub(crate) fn finish(mut self) -> Result<(), LoadError> {
        let tool = self.tool;
        let failed = |source| LoadError::Start { tool, source };
        if self.child.wait().map_err(failed)?.success() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        // If reading the output fails, the error is shorter.
        let _ = self.said.rewind();
        let _ = (&self.said).take(SAID).read_to_end(&mut bytes);
        let said = match String::from_utf8_lossy(&bytes).trim() {
            "" => "it said nothing".to_owned(),
            said => said.to_owned(),
        };
        Err(LoadError::Failed { tool, said })
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Tool {
    /// Returns the maximum number of layers. Docker has a limit, except with
    /// its containerd image store.
    pub(crate) const fn most_layers(self) -> usize {
        match self {
            Self::Docker => 125,
            Self::Podman => usize::MAX,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let failure = Self::from_error(FailureKind::Machine, &error);
        match error {
            LoadError::NotInstalled(_) => failure.with_hint(
                "install it, or write a file: `locald image export IMAGE docker-archive:FILE`",
            ),
            LoadError::Start { .. } | LoadError::Failed { .. } => failure,
        }
    }
}
