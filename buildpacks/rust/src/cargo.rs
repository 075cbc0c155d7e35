//! Runs Cargo.

mod command;
mod messages;

use std::path::{Path, PathBuf};

pub(crate) use command::{Cargo, Colour};
pub(crate) use messages::{Artefacts, Program, Script, hash, is_hash};

use crate::explain;

/// A run of Cargo failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CargoError {
    #[error("cargo cannot be started")]
    Start(#[source] std::io::Error),
    #[error("cargo's output cannot be read")]
    Read(#[source] std::io::Error),
    #[error("{}", explanation.as_ref().map_or("cargo has failed, as it says above", |it| &it.text))]
    Failed {
        explanation: Option<explain::Explanation>,
    },
    #[error("cargo's answer is not understood")]
    Answer(#[source] serde_json::Error),
    #[error("cargo says that it built {name}, but there is no {}", path.display())]
    NoProgram { name: String, path: PathBuf },
}

impl CargoError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Failed { explanation } => Some(explanation.as_ref()?.hint.clone()),
            _ => None,
        }
    }
}

/// Whether the project has a lock file.
pub(crate) fn is_locked(app: &Path) -> bool {
    app.join("Cargo.lock").is_file()
}
