//! Unix process groups and ignored signals.

use tokio::process::Command;

/// Puts a program into a process group of its own. It must not want to read
/// from the terminal.
pub(in crate::machine) fn apart(command: &mut Command) {
    command.process_group(0);
}
