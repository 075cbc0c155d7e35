//! Exports images as folders and archives, and loads them into Docker or
//! Podman.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use protocol::request::ExportFormat;
use protocol::{Failure, FailureKind};

mod loader;
mod writer;

pub(crate) use loader::{Loader, Tool};
pub(crate) use writer::Writer;

/// The format and path of an export: `oci:DIR`, `oci-archive:FILE`,
/// `docker-archive:FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExportTarget {
    /// An OCI image layout.
    OciLayout(PathBuf),
    /// A tar file of an OCI image layout.
    OciArchive(PathBuf),
    /// An archive for `docker load`.
    DockerArchive(PathBuf),
}

/// The text is not a valid export target.
#[derive(Debug, thiserror::Error)]
#[error("it is not a valid target: use oci:DIR, oci-archive:FILE or docker-archive:FILE")]
pub(crate) struct TargetError;

impl FromStr for ExportTarget {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        match text.split_once(':') {
            Some((_, "")) | None => Err(TargetError),
            Some(("oci", path)) => Ok(Self::OciLayout(path.into())),
            Some(("oci-archive", path)) => Ok(Self::OciArchive(path.into())),
            Some(("docker-archive", path)) => Ok(Self::DockerArchive(path.into())),
            Some(_) => Err(TargetError),
        }
    }
}

impl fmt::Display for ExportTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::OciLayout(_) => "oci",
            Self::OciArchive(_) => "oci-archive",
            Self::DockerArchive(_) => "docker-archive",
        };
        write!(f, "{kind}:{}", self.path().display())
    }
}

impl ExportTarget {
    /// Returns the format to request from the agent.
    pub(crate) const fn format(&self) -> ExportFormat {
        match self {
            Self::OciLayout(_) | Self::OciArchive(_) => ExportFormat::OciLayout,
            Self::DockerArchive(_) => ExportFormat::DockerArchive,
        }
    }

    /// Whether the archive goes to standard output.
    pub(crate) fn is_stdout(&self) -> bool {
        !matches!(self, Self::OciLayout(_)) && self.path() == Path::new("-")
    }

    fn path(&self) -> &Path {
        match self {
            Self::OciLayout(path) | Self::OciArchive(path) | Self::DockerArchive(path) => path,
        }
    }
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error("{} already exists", .0.display())]
    Exists(PathBuf),
    #[error("{} cannot be written", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the program stopped reading the image")]
    Feed {
        #[source]
        source: io::Error,
    },
    #[error("the agent sent the file {0:?}, which does not belong to an export")]
    Path(String),
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        let kind = match &error {
            ExportError::Exists(_) => FailureKind::Invalid,
            ExportError::Write { source, .. } if protocol::is_full(source) => FailureKind::DiskFull,
            ExportError::Write { .. } => FailureKind::Store,
            ExportError::Feed { .. } => FailureKind::Machine,
            ExportError::Path(_) => FailureKind::Internal,
        };
        let failure = Self::from_error(kind, &error);
        match error {
            ExportError::Exists(_) => failure.with_hint("--force replaces it"),
            _ => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_named_as_skopeo_names_them() {
        for text in ["oci:dir", "oci-archive:a:b.tar", "docker-archive:-"] {
            let target = text.parse::<ExportTarget>().ok();
            assert_eq!(target.map(|it| it.to_string()).as_deref(), Some(text));
        }
        for text in ["", "oci:", "dir", "docker:x", "docker-daemon:x"] {
            assert!(text.parse::<ExportTarget>().is_err(), "{text}");
        }
        let is_stdout = |text: &str| text.parse::<ExportTarget>().is_ok_and(|it| it.is_stdout());
        assert!(is_stdout("oci-archive:-"));
        assert!(!is_stdout("oci:-"));
    }
}
