//! The settings of one build that the command line overrides.

use std::path::PathBuf;

use super::choice::{NetworkChoice, PullChoice};
use super::environment::EnvArgument;

/// The settings of the command line. They override all files.
#[derive(Debug, Clone, Default)]
pub(crate) struct BuildOverrides {
    /// Names of the image.
    pub(crate) names: Vec<String>,
    pub(crate) builder: Option<String>,
    /// Buildpacks as the user wrote them.
    pub(crate) buildpacks: Vec<String>,
    /// Buildpacks to put first in each group. The last one comes first.
    pub(crate) pre_buildpacks: Vec<String>,
    /// Buildpacks to put last in each group.
    pub(crate) post_buildpacks: Vec<String>,
    /// Patterns of files. Only matching files belong to the source.
    pub(crate) include: Vec<String>,
    /// Whether to ignore `.gitignore` files.
    pub(crate) leaves_out_gitignore: bool,
    pub(crate) env: Vec<EnvArgument>,
    pub(crate) env_files: Vec<PathBuf>,
    /// Whether to leave out locald's own buildpacks.
    pub(crate) leaves_out_embedded: bool,
    pub(crate) run_image: Option<String>,
    pub(crate) network: Option<NetworkChoice>,
    pub(crate) pull: Option<PullChoice>,
    pub(crate) default_process: Option<String>,
}
