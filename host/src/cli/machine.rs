//! Declares `locald vm` and its subcommands.

use clap::{Args, Subcommand};

use crate::settings::Size;

/// Look after the machine that builds
///
/// On Linux locald works in its own process, and there is nothing to look
/// after. `--machine`, `LOCALD_MACHINE` or `[machine] kind` in the
/// configuration name another machine: it is started when it is needed.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum MachineCommand {
    Status(StatusOptions),
    /// Start the machine, unless it runs
    Start,
    Stop(StopOptions),
    Restart(RestartOptions),
    Reset(ResetOptions),
    /// Show what the machine itself has written
    Logs,
    Resize(ResizeOptions),
    /// Give the machine the agent of this locald
    ///
    /// Any other command does the same when it finds an agent of another
    /// build; what runs finishes first.
    Upgrade,
    /// Check what this system lacks for the machine, and the machine itself
    Doctor,
    /// Open a shell in the machine, or run a command there
    ///
    /// Outside of any container: to look at the machine itself.
    Ssh {
        /// Command to run instead of a shell
        #[arg(last = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
}

/// Show the machine's state, and what it takes
///
/// Changes nothing, and never waits long: what does not answer in two seconds
/// is told as that.
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
    /// Interrupt what runs
    #[arg(long)]
    pub(crate) now: bool,
    /// End a machine that does not answer
    #[arg(long)]
    pub(crate) force: bool,
}

/// Stop the machine and start it again
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct RestartOptions {
    #[command(flatten)]
    pub(crate) stop: StopOptions,
}

/// Remove the machine and all that is in it
///
/// Says what will be lost, and asks. Your projects, settings and accounts are
/// not in the machine, and stay.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ResetOptions {
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Keep images; only sources, caches and last builds of projects go
    #[arg(long)]
    pub(crate) keep_images: bool,
}

/// Change the size of a virtual machine
///
/// A machine that runs is stopped, and started again. A disk can only grow.
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
    /// The most that the disk may take
    #[arg(long, value_name = "SIZE")]
    pub(crate) disk: Option<Size>,
}
