//! Declares `locald build`.

use std::path::PathBuf;

use clap::Args;

use super::{CreationTime, ProjectFolder};
use crate::settings::{BuildOverrides, EnvArgument, NetworkChoice, PullChoice};

/// Build an image from a source folder
///
/// Flags override `locald.toml` and `project.toml` in the folder, which override
/// your own configuration. If nothing has changed since the last build, locald
/// reports that and starts nothing.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  locald build                                    the current folder
  locald build target/shop.jar                    what a zip or jar file holds
  locald build ../shop -t ghcr.io/me/shop:1.2 --publish
  locald build -b heroku/nodejs -b ./my-buildpack
  locald build -e NODE_ENV=production -e NPM_TOKEN")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct BuildOptions {
    #[command(flatten)]
    pub(crate) project: ProjectFolder,
    /// Name of the image; repeat it for more names, the first is the main one
    /// [default: the folder's name]
    #[arg(short, long = "tag", value_name = "NAME")]
    pub(crate) tags: Vec<String>,
    /// Builder image [default: the project's last one, then that of config.toml,
    /// then heroku/builder:26]
    #[arg(short = 'B', long, value_name = "IMAGE")]
    pub(crate) builder: Option<String>,
    /// Buildpack to use instead of the builder's groups: ID[@VERSION], a folder,
    /// or `docker://IMAGE`; repeat it for several, in their order
    #[arg(short, long = "buildpack", value_name = "BUILDPACK")]
    pub(crate) buildpacks: Vec<String>,
    /// Buildpack to put before those of each group, of the builder or of `-b`;
    /// of several, the last one comes first, as with pack
    #[arg(long = "pre-buildpack", value_name = "BUILDPACK")]
    pub(crate) pre_buildpacks: Vec<String>,
    /// Buildpack to put after those of each group; repeat for several, in their
    /// order
    #[arg(long = "post-buildpack", value_name = "BUILDPACK")]
    pub(crate) post_buildpacks: Vec<String>,
    /// project.toml to use instead of the folder's own
    #[arg(short, long, value_name = "FILE")]
    pub(crate) descriptor: Option<PathBuf>,
    /// Only files that match belong to the source, even if .gitignore excludes
    /// them; repeat for several patterns, each as in .gitignore
    #[arg(long, value_name = "PATTERN")]
    pub(crate) include: Vec<String>,
    /// Do not read .gitignore files, as pack does not
    #[arg(long)]
    pub(crate) no_gitignore: bool,
    /// Build-time variable; a name alone takes its value from this shell, and is
    /// left out if it has none
    #[arg(short, long = "env", value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<EnvArgument>,
    /// File of build-time variables, one NAME=VALUE or NAME a line
    #[arg(long = "env-file", value_name = "FILE")]
    pub(crate) env_files: Vec<PathBuf>,
    /// Do not use locald's own buildpacks
    #[arg(long)]
    pub(crate) no_embedded_buildpacks: bool,
    /// Run image to use instead of the builder's
    #[arg(long, value_name = "IMAGE")]
    pub(crate) run_image: Option<String>,
    /// Delete the caches of this project's earlier builds first
    #[arg(long, alias = "no-cache")]
    pub(crate) clear_cache: bool,
    /// Network of the buildpacks [default: host]
    #[arg(long, value_enum)]
    pub(crate) network: Option<NetworkChoice>,
    /// Push the image under all its names after the build
    #[arg(long, alias = "push")]
    pub(crate) publish: bool,
    /// When to check for newer builder and run images [default: daily]
    #[arg(long, alias = "pull-policy", value_enum, value_name = "WHEN")]
    pub(crate) pull: Option<PullChoice>,
    /// The image's creation date: now, seconds since 1970, or
    /// 2026-01-31T12:00:00Z [default: a fixed date]
    #[arg(long, value_name = "TIME")]
    pub(crate) creation_time: Option<CreationTime>,
    /// Process type that the image starts by default
    #[arg(short = 'D', long, value_name = "PROCESS")]
    pub(crate) default_process: Option<String>,
    /// Build even if nothing has changed
    #[arg(long)]
    pub(crate) force: bool,
    /// Build your home folder, or one above it, without asking
    #[arg(short, long)]
    pub(crate) yes: bool,
}

impl BuildOptions {
    /// Returns the options of `locald build PATH`, with a builder if given.
    pub(crate) const fn of(path: Option<PathBuf>, builder: Option<String>) -> Self {
        Self {
            project: ProjectFolder::new(path),
            tags: Vec::new(),
            builder,
            buildpacks: Vec::new(),
            pre_buildpacks: Vec::new(),
            post_buildpacks: Vec::new(),
            descriptor: None,
            include: Vec::new(),
            no_gitignore: false,
            env: Vec::new(),
            env_files: Vec::new(),
            no_embedded_buildpacks: false,
            run_image: None,
            clear_cache: false,
            network: None,
            publish: false,
            pull: None,
            creation_time: None,
            default_process: None,
            force: false,
            yes: false,
        }
    }

    /// Returns the command line's overrides, for [`Settings::build`].
    ///
    /// [`Settings::build`]: crate::settings::Settings::build
    pub(crate) fn overrides(&self) -> BuildOverrides {
        BuildOverrides {
            names: self.tags.clone(),
            builder: self.builder.clone(),
            buildpacks: self.buildpacks.clone(),
            pre_buildpacks: self.pre_buildpacks.clone(),
            post_buildpacks: self.post_buildpacks.clone(),
            include: self.include.clone(),
            leaves_out_gitignore: self.no_gitignore,
            env: self.env.clone(),
            env_files: self.env_files.clone(),
            leaves_out_embedded: self.no_embedded_buildpacks,
            run_image: self.run_image.clone(),
            network: self.network,
            pull: self.pull,
            default_process: self.default_process.clone(),
        }
    }
}
