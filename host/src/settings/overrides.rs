//! The settings of one build that the command line overrides.

use std::path::PathBuf;

use super::choice::{NetworkChoice, PullChoice};
use super::environment::EnvArgument;

/// The settings that the command line names; each beats all files.
#[derive(Debug, Clone, Default)]
pub(crate) struct BuildOverrides {
    /// Names of the image.
    pub(crate) names: Vec<String>,
    pub(crate) builder: Option<String>,
    /// Buildpacks as the user writes them.
    pub(crate) buildpacks: Vec<String>,
    /// Those that come first in each group, the last one before all others.
    pub(crate) pre_buildpacks: Vec<String>,
    /// Those that come last in each group.
    pub(crate) post_buildpacks: Vec<String>,
    /// Patterns of the only files that belong to the source.
    pub(crate) include: Vec<String>,
    /// Whether `.gitignore` files are left out of account.
    pub(crate) leaves_out_gitignore: bool,
    pub(crate) env: Vec<EnvArgument>,
    pub(crate) env_files: Vec<PathBuf>,
    /// Whether locald's own buildpacks are left out.
    pub(crate) leaves_out_embedded: bool,
    pub(crate) run_image: Option<String>,
    pub(crate) network: Option<NetworkChoice>,
    pub(crate) pull: Option<PullChoice>,
    pub(crate) default_process: Option<String>,
}
