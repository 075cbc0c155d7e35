//! Executes this program again, with a hidden first argument, for work that
//! needs a fresh process with one thread.

use std::io;
use std::process::Command;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use super::descriptors;

/// What a re-executed process does.
#[derive(Debug)]
pub(crate) struct Task {
    /// The hidden first argument.
    pub(crate) word: &'static str,
    /// Does the work and ends the process.
    pub(crate) run: fn() -> !,
}

impl Task {
    /// The hidden first argument, with the number of files that the process may
    /// have open.
    fn argument(&self, descriptors: Option<u64>) -> String {
        let word = self.word;
        descriptors.map_or_else(|| word.to_owned(), |most| format!("{word}={most}"))
    }
}

/// The task of a first argument, and the number of files that the process may
/// have open.
fn find<'a>(tasks: &[&'a Task], argument: &str) -> Option<(&'a Task, Option<u64>)> {
    let (word, descriptors) = argument.split_once('=').unwrap_or((argument, ""));
    let task = tasks.iter().find(|task| task.word == word)?;
    Some((task, descriptors.parse().ok()))
}

/// Returns, unless this process was started to do one of these tasks: then it
/// does that and never returns.
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

/// This program again, for a hidden task, with an empty environment and the
/// limits with which this process was started.
pub(crate) fn command(task: &Task) -> Command {
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
