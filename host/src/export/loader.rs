//! Runs `docker load` or `podman load`, which takes an image into its own
//! storage.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::process::{Child, ChildStdin, Command, Stdio};

use clap::ValueEnum;
use protocol::{Failure, FailureKind};

/// The most bytes of what the program says.
const SAID: u64 = 4096;

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tool {
    /// Docker
    Docker,
    /// Podman
    Podman,
}

/// The program, while it waits for an archive; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Loader {
    tool: Tool,
    child: Child,
    said: File,
}

/// Why an image is not loaded.
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
    /// Starts the program. Call it before the agent's namespaces are entered:
    /// it is the user's own.
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

    /// Waits for its end, once its input is closed.
    pub(crate) fn finish(mut self) -> Result<(), LoadError> {
        let tool = self.tool;
        let failed = |source| LoadError::Start { tool, source };
        if self.child.wait().map_err(failed)?.success() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        // Less is told when even this cannot be read.
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
    /// The most layers of an image that it takes: Docker's own limit, which its
    /// newer store of containerd's does not have.
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
