//! The choices that the command line and the settings files share.

use clap::ValueEnum;
use protocol::request::{BuildNetwork, PullPolicy};
use serde::Deserialize;

/// The network of the build phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NetworkChoice {
    /// No network
    None,
    /// The machine's own
    Host,
    /// One of its own, without what listens on this machine (needs pasta)
    Private,
}

impl From<NetworkChoice> for BuildNetwork {
    fn from(choice: NetworkChoice) -> Self {
        match choice {
            NetworkChoice::None => Self::None,
            NetworkChoice::Host => Self::Host,
            NetworkChoice::Private => Self::Private,
        }
    }
}

/// Whether `.gitignore` files exclude files from the source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum GitIgnoreChoice {
    /// They do.
    #[default]
    Count,
    /// They do not, as with pack.
    LeftOut,
}

/// When to ask a registry for a newer image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PullChoice {
    Always,
    Daily,
    #[value(alias = "if-not-present")]
    Missing,
    Never,
}

impl From<PullChoice> for PullPolicy {
    fn from(choice: PullChoice) -> Self {
        match choice {
            PullChoice::Always => Self::Always,
            PullChoice::Daily => Self::Daily,
            PullChoice::Missing => Self::IfNotPresent,
            PullChoice::Never => Self::Never,
        }
    }
}
