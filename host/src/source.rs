//! The project's files: what belongs to the source, and how it travels.

mod ignored;
mod upload;
mod walk;

use std::path::PathBuf;

use protocol::source::Entry;
use protocol::{Failure, FailureKind};

pub(crate) use ignored::Rules;
pub(crate) use upload::Uploader;
pub(crate) use walk::walk;

/// A tree of files to be sent.
#[derive(Debug)]
pub(crate) struct SourceTree {
    /// Where it is.
    pub(crate) root: PathBuf,
    /// All that belongs to it, parents first.
    pub(crate) entries: Vec<Entry>,
    /// Paths that are left out because they are neither files, directories nor
    /// links: sockets, fifos, devices.
    pub(crate) skipped: Vec<String>,
}

/// The source cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// The folder is not there, or is no folder.
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// A path cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The rules of an ignore file cannot be used.
    #[error("cannot use {file}")]
    Rules {
        /// `.gitignore`, `.dockerignore` or `project.toml`.
        file: String,
        /// Why.
        #[source]
        source: ignore::Error,
    },
    /// The walk itself failed.
    #[error("cannot list the source")]
    Walk(#[from] ignore::Error),
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::from_error(FailureKind::Source, &error)
    }
}
