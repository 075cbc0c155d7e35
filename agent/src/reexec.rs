//! Work that must run in a fresh process of one thread is done by this same
//! program, executed again with a hidden first argument.

use std::process::Command;

use crate::container;

/// What a re-executed process is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Start a container and wait for its end.
    Container,
}

impl Task {
    const ALL: [Self; 1] = [Self::Container];

    /// The hidden first argument.
    const fn word(self) -> &'static str {
        match self {
            Self::Container => "__locald-container",
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
    }
}

/// This program again, for a hidden task, with an empty environment.
pub(crate) fn command(task: Task) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(task.word()).env_clear();
    command
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
