//! `locald vm …`.

use clap::Subcommand;

/// Look after the machine that builds
///
/// On Linux there is none: locald works in its own process, and only `status`
/// has something to tell.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum MachineCommand {
    /// Show where the agent runs and what its store takes
    Status,
    /// Start the machine
    Start,
    /// Stop the machine
    Stop,
    /// Remove the machine and all that is in it
    Reset,
    /// Show the machine's log
    Logs,
}
