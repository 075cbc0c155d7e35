//! Work that must run in a fresh process of one thread is done by this same
//! program, executed again with a hidden first argument.

use std::io;
use std::process::Command;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::container;

/// What a re-executed process is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Start a container and wait for its end.
    Container,
    /// Carry a private network.
    Pasta,
}

impl Task {
    const ALL: [Self; 2] = [Self::Container, Self::Pasta];

    /// The hidden first argument.
    const fn word(self) -> &'static str {
        match self {
            Self::Container => "__locald-container",
            Self::Pasta => "__locald-pasta",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.word() == word)
    }
}

/// Returns, unless this process was started to do a hidden task: then it does
/// that and never returns.
///
/// Call it first in `main`, before any thread exists.
pub fn dispatch() {
    let task = std::env::args_os()
        .nth(1)
        .and_then(|word| word.to_str().and_then(Task::from_word));
    match task {
        None => {}
        Some(Task::Container) => container::run_here(),
        Some(Task::Pasta) => container::pasta::run_here(),
    }
}

/// This program again, for a hidden task, with an empty environment.
pub(crate) fn command(task: Task) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(task.word()).env_clear();
    command
}

/// Ends this process when its parent ends. The death signal is not sent when
/// the parent has died before: then this fails.
pub(crate) fn die_with(parent: i32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() == Pid::from_raw(parent) {
        return Ok(());
    }
    Err(io::Error::other("the agent has gone"))
}

#[cfg(test)]
mod tests {
    use super::Task;

    #[test]
    fn every_task_is_found_by_its_word() {
        for task in Task::ALL {
            assert_eq!(Task::from_word(task.word()), Some(task));
        }
        assert_eq!(Task::from_word("build"), None);
    }
}
