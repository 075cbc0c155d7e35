//! Executes this program again, with a hidden first argument, for work that
//! needs a fresh process with one thread.

use std::io;
use std::process::Command;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use super::descriptors;

/// A hidden task of this program, for a re-executed process.
#[derive(Debug)]
pub(crate) struct Task {
    /// The hidden first argument.
    pub(crate) word: &'static str,
    /// Performs the task and ends the process.
    pub(crate) run: fn() -> !,
}

impl Task {
    /// The hidden first argument, with the original limit of open files.
    fn argument(&self, descriptors: Option<u64>) -> String {
        let word = self.word;
        descriptors.map_or_else(|| word.to_owned(), |most| format!("{word}={most}"))
    }
}

/// Finds the task of a first argument, and the original limit of open files.
fn find<'a>(tasks: &[&'a Task], argument: &str) -> Option<(&'a Task, Option<u64>)> {
    let (word, descriptors) = argument.split_once('=').unwrap_or((argument, ""));
    let task = tasks.iter().find(|task| task.word == word)?;
    Some((task, descriptors.parse().ok()))
}

/// Runs one of these tasks, if this process was started for it, and then does
/// not return. Otherwise returns at once.
pub(crate) fn dispatch(tasks: &[&Task]) {
    let argument = std::env::args_os().nth(1);
    let task = argument.and_then(|it| it.to_str().and_then(|argument| find(tasks, argument)));
    let Some((task, descriptors)) = task else {
        return;
    };
    if let Some(descriptors) = descriptors {
        descriptors::set(descriptors);
    }
    (task.run)()
}

/// A command that executes this program for a hidden task, with an empty
/// environment and the original limits.
pub(crate) fn command(task: &Task) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(task.argument(descriptors::first())).env_clear();
    command
}

/// Makes this process end when its parent ends. Fails if the parent has already
/// ended, because the kernel then sends no death signal.
pub(crate) fn die_with(parent: i32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() == Pid::from_raw(parent) {
        return Ok(());
    }
    Err(io::Error::other("the agent has gone"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step fails the test")]
    use super::{Task, find};
    use crate::kernel::syscall;

    #[test]
    fn every_task_is_found_by_its_word() {
        let task = |word| Task {
            word,
            run: || syscall::exit_now(1),
        };
        let (one, two) = (task("__one"), task("__two"));
        let tasks = [&one, &two];
        for task in tasks {
            for most in [None, Some(1024)] {
                let (found, found_most) = find(&tasks, &task.argument(most)).unwrap();
                assert_eq!((found.word, found_most), (task.word, most));
            }
        }
        assert!(find(&tasks, "build").is_none());
    }
}
