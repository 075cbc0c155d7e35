//! Declares `locald vm` and its subcommands.

use clap::{Args, Subcommand};

use crate::settings::Size;

/// Manage the machine in which locald works
///
/// On Linux locald works in its own process, and there is no machine to manage.
/// `--machine`, `LOCALD_MACHINE` or `[machine] kind` in the configuration select
/// another machine. locald starts it when a command needs it.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum MachineCommand {
    Status(StatusOptions),
    /// Start the machine if it does not run
    Start,
    Stop(StopOptions),
    Restart(RestartOptions),
    Reset(ResetOptions),
    /// Show the machine's own log
    Logs,
    Resize(ResizeOptions),
    /// Install the agent of this locald in the machine
    ///
    /// Every other command does this, too, if it finds an agent of another
    /// build. Running work finishes first.
    Upgrade,
    /// Check what this system lacks for the machine, and the machine itself
    Doctor,
    /// Open a shell in the machine, or run a command there
    ///
    /// It runs outside of containers, to inspect the machine itself.
    Ssh {
        /// Command to run instead of a shell
        #[arg(last = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
}

/// Show the machine's state and its use of memory and disk
///
/// It changes nothing. If the machine does not answer within two seconds, it
/// reports that.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct StatusOptions {
    /// Show how long each step of the last start took
    #[arg(long)]
    pub(crate) timings: bool,
}

/// Stop the machine
///
/// Waits for builds, shells and processes that run in it.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct StopOptions {
    /// Interrupt running work
    #[arg(long)]
    pub(crate) now: bool,
    /// Kill a machine that does not answer
    #[arg(long)]
    pub(crate) force: bool,
}

/// Stop the machine and start it again
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct RestartOptions {
    #[command(flatten)]
    pub(crate) stop: StopOptions,
}

/// Remove the machine with everything in it
///
/// It lists what you lose, and asks. Your projects, settings and accounts stay:
/// they are not in the machine.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ResetOptions {
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Keep images; remove only sources, caches and last builds of projects
    #[arg(long)]
    pub(crate) keep_images: bool,
}

/// Change the size of a virtual machine
///
/// A running machine stops, and starts again with the next command. A disk can
/// only grow.
#[derive(Debug, Clone, Copy, Args)]
#[command(after_help = "\
Example:
  locald vm resize --cpus 4 --memory 8GiB --disk 100GiB")]
#[group(required = true, multiple = true)]
pub(crate) struct ResizeOptions {
    /// Processors
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) cpus: Option<u32>,
    /// Memory
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<Size>,
    /// Maximum size of the disk
    #[arg(long, value_name = "SIZE")]
    pub(crate) disk: Option<Size>,
}
