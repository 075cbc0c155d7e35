//! Defines the errors of a build.

use std::io;
use std::path::{Path, PathBuf};

use crate::cargo::CargoError;
use crate::selection::SelectionError;
use crate::settings::SettingsError;
use crate::toolchain::ToolchainError;
use crate::{apt, assets};

/// The build failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// The source has a lock file and no manifest.
    #[error("there is a Cargo.lock, but no Cargo.toml")]
    NoManifest,
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    #[error(transparent)]
    Cargo(#[from] CargoError),
    #[error(transparent)]
    Apt(#[from] apt::AptError),
    #[error(transparent)]
    Assets(#[from] assets::AssetsError),
}

impl BuildError {
    /// Converts an I/O error, for `map_err`. `action` is a verb.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// The hint for the user, if there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoManifest => Some("the folder to build is the one with Cargo.toml".to_owned()),
            Self::Io { .. } | Self::Assets(_) => None,
            Self::Settings(error) => error.hint(),
            Self::Selection(error) => Some(error.hint()),
            Self::Toolchain(error) => error.hint(),
            Self::Cargo(error) => error.hint(),
            Self::Apt(error) => error.hint(),
        }
    }
}

impl From<BuildError> for libcnb::Error<BuildError> {
    fn from(error: BuildError) -> Self {
        Self::BuildpackError(error)
    }
}
