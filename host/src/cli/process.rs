//! Declares `locald run` and `locald shell`.

use clap::Args;

use super::ProjectFolder;
use crate::settings::EnvArgument;

/// Start a process of an image
///
/// A folder is built first, which takes no time when nothing has changed. The
/// process shares this machine's network, standard streams, signals and exit
/// code with the command. `-e PORT=8080` is how most buildpacks take a port.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  locald run                              build this folder, start its default process
  locald run . worker -- --queue mail     another process type, with arguments
  locald run --watch -e PORT=8080         again at each change of the folder
  locald run shop:1.2 -e PORT=8080        an image that was built or pulled before
  locald run --command shop -- node -v    a command in the image's environment")]
pub(crate) struct RunOptions {
    /// A project's folder, a zip or jar file, or an image [default: the current
    /// folder]
    #[arg(value_name = "PATH|IMAGE")]
    pub(crate) target: Option<String>,
    /// Process type to start [default: the image's]
    #[arg(value_name = "PROCESS", conflicts_with = "command")]
    pub(crate) process: Option<String>,
    /// When the folder changes, build it again and start the new process; a
    /// build that fails leaves the old one running
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Variable of the process; a name alone takes the value of this shell, and
    /// is left out where it has none
    #[arg(short, long = "env", value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<EnvArgument>,
    /// Builder image for a build [default: as of `locald build`]
    #[arg(short = 'B', long, value_name = "IMAGE")]
    pub(crate) builder: Option<String>,
    /// Give the process this machine's proxies and certificate authorities, as
    /// builds and shells have them
    #[arg(long)]
    pub(crate) proxy: bool,
    /// ARGS are a command of their own, not arguments of a process
    #[arg(short, long, requires = "args")]
    pub(crate) command: bool,
    /// Arguments of the process, or the command
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) args: Vec<String>,
}

/// Open a shell in a project's build environment
///
/// The builder's file system, the layers and variables of the last build, and
/// the project's folder live at /workspace: what is changed there is changed
/// here. Without an earlier build, the project is built first.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  locald shell                     a shell for this folder
  locald shell -- npm test         one command, its exit code passed on
  locald shell ../shop -e DEBUG=1")]
pub(crate) struct ShellOptions {
    #[command(flatten)]
    pub(crate) project: ProjectFolder,
    /// Variable of the shell; a name alone takes the value of this shell, and is
    /// left out where it has none
    #[arg(short, long = "env", value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<EnvArgument>,
    /// Builder image for a build [default: as of `locald build`]
    #[arg(short = 'B', long, value_name = "IMAGE")]
    pub(crate) builder: Option<String>,
    /// Command to run instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}
