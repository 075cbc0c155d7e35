//! Starts child processes that Ctrl-C does not end. This process handles Ctrl-C
//! itself.

#[cfg(unix)]
mod imp {
    //! Unix process groups and ignored signals.

    use tokio::process::Command;

    /// Puts a program into a process group of its own. The program cannot read
    /// from the terminal then.
    pub(in crate::machine) fn in_own_group(command: &mut Command) {
        command.process_group(0);
    }

    /// Returns a command for a program that ignores Ctrl-C and may read from
    /// the terminal. ssh leaves a signal ignored that is ignored at its start.
    pub(in crate::machine) fn ignoring_interrupts(program: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "trap '' INT QUIT; exec \"$0\" \"$@\"", program]);
        command
    }
}
#[cfg(not(unix))]
mod imp {
    //! Windows process groups.

    use tokio::process::Command;

    /// `CREATE_NEW_PROCESS_GROUP`: Ctrl-C does not reach the program.
    const NEW_GROUP: u32 = 0x200;

    /// Puts a program into a process group of its own.
    pub(in crate::machine) fn in_own_group(command: &mut Command) {
        command.creation_flags(NEW_GROUP);
    }

    /// Returns a command for a program that ignores Ctrl-C and may read from
    /// the console.
    pub(in crate::machine) fn ignoring_interrupts(program: &str) -> Command {
        let mut command = Command::new(program);
        in_own_group(&mut command);
        command
    }
}

pub(super) use imp::{ignoring_interrupts, in_own_group};
