//! Declares the command line for clap: commands, options and their help texts.
//! It does nothing else.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::output::{Colour, Detail, OutputOptions};
use crate::settings::MachineKind;

mod build;
mod creation_time;
mod front_page;
mod image;
mod machine;
mod process;
mod registry;
mod services;
mod store;

pub(crate) use build::BuildOptions;
pub(crate) use creation_time::CreationTime;
pub(crate) use front_page::FRONT_PAGE;
pub(crate) use image::{ExportOptions, ImageCommand, LoadOptions};
pub(crate) use machine::{MachineCommand, ResetOptions, ResizeOptions, StatusOptions, StopOptions};
pub(crate) use process::{RunOptions, ShellOptions};
pub(crate) use registry::{LoginOptions, LogoutOptions, PullOptions, PushOptions};
pub(crate) use services::{
    LogsOptions, ProjectOption, PsOptions, ServiceRestartOptions, ServiceStopOptions, UpOptions,
};
pub(crate) use store::{PruneOptions, StoreCommand, StoreOptions, VerifyOptions};

/// Turns a source folder into an OCI image and a development shell with Cloud
/// Native Buildpacks, without Docker.
#[derive(Debug, Parser)]
#[command(name = "locald", version, max_term_width = 100)]
#[command(after_help = "\
Exit codes: 0 success, 2 usage error, 110 to 124 one kind of failure each, 130 Ctrl-C. A failed
build exits with the lifecycle's code, `run` and `shell` with the code of their process.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalOptions,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalOptions {
    /// Write only JSON to standard output, one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print only errors and the result
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Show the full output of all phases
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value = "auto"
    )]
    pub(crate) color: ColorChoice,
    /// Machine to work in: auto, in-process, qemu, lima, wsl2, or
    /// ssh://[USER@]HOST[:PORT]
    #[arg(long, global = true, value_name = "MACHINE")]
    pub(crate) machine: Option<MachineKind>,
}

impl GlobalOptions {
    /// Returns the output options.
    pub(crate) const fn output(&self) -> OutputOptions {
        OutputOptions {
            json: self.json,
            detail: match (self.quiet, self.verbose) {
                (true, _) => Detail::Quiet,
                (false, true) => Detail::Verbose,
                (false, false) => Detail::Normal,
            },
            colour: match self.color {
                ColorChoice::Auto => Colour::Auto,
                ColorChoice::Always => Colour::Always,
                ColorChoice::Never => Colour::Never,
            },
        }
    }
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum ColorChoice {
    #[value(help = None)]
    Auto,
    #[value(help = None)]
    Always,
    #[value(help = None)]
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Build(Box<BuildOptions>),
    Run(RunOptions),
    Shell(ShellOptions),
    Up(UpOptions),
    Ps(PsOptions),
    Logs(LogsOptions),
    #[command(alias = "down")]
    Stop(ServiceStopOptions),
    Restart(ServiceRestartOptions),
    #[command(subcommand)]
    Image(ImageCommand),
    /// List the stored images, as `locald image ls`
    #[command(hide = true)]
    Images,
    /// Show an image, as `locald image inspect`
    #[command(hide = true)]
    Inspect {
        /// Name or digest
        image: String,
    },
    /// Remove images, as `locald image rm`
    #[command(hide = true)]
    Rmi {
        /// Names or digests
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<String>,
    },
    /// Add a name to an image, as `locald image tag`
    #[command(hide = true)]
    Tag {
        /// Name or digest of a stored image
        image: String,
        /// The new name
        name: String,
    },
    /// Show the version, as `locald --version`
    #[command(hide = true)]
    Version,
    Push(PushOptions),
    Pull(PullOptions),
    Login(LoginOptions),
    Logout(LogoutOptions),
    Store(StoreOptions),
    Prune(PruneOptions),
    /// Check what this system lacks, and show how to fix it
    Doctor,
    Completions(CompletionOptions),
    ManPages(ManPageOptions),
    #[command(subcommand)]
    Vm(MachineCommand),
}

/// Write a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dir=~/.local/share/bash-completion/completions
  mkdir -p $dir && locald completions bash > $dir/locald

  dir=~/.zfunc
  mkdir -p $dir && locald completions zsh > $dir/_locald

  dir=~/.config/fish/completions
  mkdir -p $dir && locald completions fish > $dir/locald.fish")]
pub(crate) struct CompletionOptions {
    /// The shell to complete for
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// Write a manual page for each command into a folder
#[derive(Debug, Args)]
#[command(hide = true)]
pub(crate) struct ManPageOptions {
    /// The folder, which must exist
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

/// The folder of a project.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProjectFolder {
    /// The project's folder, or for a build a zip or jar file [default: the
    /// current folder]
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// The same, as pack has it
    #[arg(
        long = "path",
        value_name = "PATH",
        hide = true,
        conflicts_with = "path"
    )]
    named: Option<PathBuf>,
}

impl ProjectFolder {
    /// Makes the option of this folder.
    pub(crate) const fn new(path: Option<PathBuf>) -> Self {
        let named = None;
        Self { path, named }
    }

    /// Returns the path that the user gave.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref().or(self.named.as_deref())
    }
}

#[cfg(test)]
mod tests;
