//! The errors of settings files.

use std::path::PathBuf;

use protocol::{Failure, FailureKind};

use super::environment::EnvError;
use super::service::ServiceError;
use super::suggestion::nearest;
use crate::project::BoundaryError;

/// Why the settings are not valid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{} cannot be read", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{}:{line}: unknown key `{key}`", path.display())]
    UnknownKey {
        path: PathBuf,
        line: usize,
        key: String,
        known: Vec<String>,
    },
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        path: PathBuf,
        line: usize,
        message: String,
    },
    #[error("{} has both `include` and `exclude`", path.display())]
    IncludeAndExclude { path: PathBuf },
    #[error("{} has schema version {version:?}", path.display())]
    Schema { path: PathBuf, version: String },
    #[error("{}: the inline buildpack `{id}` {reason}", path.display())]
    Inline {
        path: PathBuf,
        id: String,
        reason: &'static str,
    },
    #[error("{count} buildpacks are named for one build")]
    TooManyBuildpacks { count: usize },
    #[error("{} has a buildpack without `id` and `uri`, or with `uri` and `version`", path.display())]
    GroupEntry { path: PathBuf },
    #[error("buildpack {text:?} is a {kind}, which locald does not support")]
    BuildpackKind { text: String, kind: &'static str },
    #[error("buildpack folder {} has no buildpack.toml", path.display())]
    NoBuildpack { path: PathBuf },
    #[error("the certificates of registry {registry} in {} cannot be read", path.display())]
    Certificates {
        registry: String,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Env(#[from] EnvError),
    #[error(transparent)]
    Boundary(#[from] BoundaryError),
    #[error("buildpack {text:?}: {error}")]
    BuildpackBoundary { text: String, error: BoundaryError },
    #[error("{}:{line}: service `{service}` {error}", path.display())]
    Service {
        path: PathBuf,
        line: usize,
        service: String,
        error: Box<ServiceError>,
    },
}

impl SettingsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { key, known, .. } => Some(match nearest(key, known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("known here: {}", known.join(", ")),
            }),
            Self::Schema { .. } => Some("locald reads versions 0.1 to 0.3".to_owned()),
            Self::BuildpackKind { .. } => {
                Some("name a buildpack of the builder, a folder, or docker://IMAGE".to_owned())
            }
            Self::Inline { .. } => {
                Some("`id = \"me/name\"`, `script = { api = \"0.10\", inline = \"…\" }`".to_owned())
            }
            Self::GroupEntry { .. } => Some(
                "`id = \"owner/name\"` and perhaps `version`, or `uri`, or `id` and `script`"
                    .to_owned(),
            ),
            Self::TooManyBuildpacks { .. } => {
                Some("put them together in a buildpack of their own".to_owned())
            }
            Self::Service { error, .. } => error.hint(),
            Self::Boundary(error) | Self::BuildpackBoundary { error, .. } => {
                error.hint().map(str::to_owned)
            }
            _ => None,
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let failure = Self::from_error(FailureKind::Invalid, &error);
        match error.hint() {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}
