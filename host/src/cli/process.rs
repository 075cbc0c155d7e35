//! Declares `locald run` and `locald shell`.

use clap::Args;

use super::ProjectFolder;
use crate::settings::EnvArgument;

/// Run a process of an image
///
/// locald builds a folder first, which takes no time if nothing has changed. The
/// process has this machine's network, and the standard streams and signals of
/// the command; the command exits with its code. Most buildpacks take the port
/// from `-e PORT=8080`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  locald run                              build this folder, start its default process
  locald run . worker -- --queue mail     another process type, with arguments
  locald run --watch -e PORT=8080         build and start again after each change
  locald run shop:1.2 -e PORT=8080        a stored image
  locald run --command shop -- node -v    a command in the image's environment")]
pub(crate) struct RunOptions {
    /// A project's folder, a zip or jar file, or an image [default: the current
    /// folder]
    #[arg(value_name = "PATH|IMAGE")]
    pub(crate) target: Option<String>,
    /// Process type to start [default: the image's]
    #[arg(value_name = "PROCESS", conflicts_with = "command")]
    pub(crate) process: Option<String>,
    /// When the folder changes, build it again and start the new process; after
    /// a failed build, the old process keeps running
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Variable of the process; a name alone takes its value from this shell, and
    /// is left out if it has none
    #[arg(short, long = "env", value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<EnvArgument>,
    /// Builder image for a build [default: as for `locald build`]
    #[arg(short = 'B', long, value_name = "IMAGE")]
    pub(crate) builder: Option<String>,
    /// Give the process this machine's proxies and certificate authorities, which
    /// builds and shells always have
    #[arg(long)]
    pub(crate) proxy: bool,
    /// Run ARGS as a command instead of a process of the image
    #[arg(short, long, requires = "args")]
    pub(crate) command: bool,
    /// Arguments of the process, or the command
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) args: Vec<String>,
}

/// Open a shell in a project's build environment
///
/// The shell has the builder's file system, and the layers and variables of the
/// last build. The project's folder is at /workspace; changes there are changes
/// here. If the project was never built, locald builds it first.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  locald shell                     a shell for this folder
  locald shell -- npm test         one command; locald exits with its code
  locald shell ../shop -e DEBUG=1")]
pub(crate) struct ShellOptions {
    #[command(flatten)]
    pub(crate) project: ProjectFolder,
    /// Variable of the shell; a name alone takes its value from this shell, and is
    /// left out if it has none
    #[arg(short, long = "env", value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<EnvArgument>,
    /// Builder image for a build [default: as for `locald build`]
    #[arg(short = 'B', long, value_name = "IMAGE")]
    pub(crate) builder: Option<String>,
    /// Command to run instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}
