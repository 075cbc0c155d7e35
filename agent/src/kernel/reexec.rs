//! Work that must run in a fresh process of one thread is done by this same
//! program, executed again with a hidden first argument.

use std::io;
use std::process::Command;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use super::descriptors;
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

    /// The task of a first argument, and how many files it may have open.
    fn from_argument(argument: &str) -> Option<(Self, Option<u64>)> {
        let (word, descriptors) = argument.split_once('=').unwrap_or((argument, ""));
        let task = Self::ALL.into_iter().find(|task| task.word() == word)?;
        Some((task, descriptors.parse().ok()))
    }

    fn argument(self, descriptors: Option<u64>) -> String {
        let word = self.word();
        descriptors.map_or_else(|| word.to_owned(), |most| format!("{word}={most}"))
    }
}

/// Returns, unless this process was started to do a hidden task: then it does
/// that and never returns.
///
/// Call it first in `main`, before any thread exists.
pub fn dispatch() {
    let argument = std::env::args_os().nth(1);
    let task = argument.and_then(|it| it.to_str().and_then(Task::from_argument));
    if let Some((_, Some(descriptors))) = task {
        descriptors::set(descriptors);
    }
    match task.map(|(task, _)| task) {
        None => {}
        Some(Task::Container) => container::run_here(),
        Some(Task::Pasta) => container::pasta::run_here(),
    }
}

/// This program again, for a hidden task, with an empty environment and the
/// limits with which this process was started.
pub(crate) fn command(task: Task) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(task.argument(descriptors::first())).env_clear();
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
            for most in [None, Some(1024)] {
                assert_eq!(
                    Task::from_argument(&task.argument(most)),
                    Some((task, most))
                );
            }
        }
        assert_eq!(Task::from_argument("build"), None);
    }
}
