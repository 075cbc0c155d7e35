//! Unix process groups and ignored signals.

use tokio::process::Command;

/// Puts a program into a process group of its own. It must not want to read
/// from the terminal.
pub(in crate::machine) fn in_own_group(command: &mut Command) {
    command.process_group(0);
}

/// A program that ignores Ctrl-C, and may ask at the terminal: ssh keeps the
/// signals ignored that it finds ignored.
pub(in crate::machine) fn ignoring_interrupts(program: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "trap '' INT QUIT; exec \"$0\" \"$@\"", program]);
    command
}
