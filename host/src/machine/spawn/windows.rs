//! Windows process groups.

use tokio::process::Command;

/// `CREATE_NEW_PROCESS_GROUP`: Ctrl-C does not reach the program.
const NEW_GROUP: u32 = 0x200;

/// Puts a program into a process group of its own.
pub(in crate::machine) fn in_own_group(command: &mut Command) {
    command.creation_flags(NEW_GROUP);
}

/// A program that ignores Ctrl-C, and may ask at the console.
pub(in crate::machine) fn ignoring_interrupts(program: &str) -> Command {
    let mut command = Command::new(program);
    in_own_group(&mut command);
    command
}
