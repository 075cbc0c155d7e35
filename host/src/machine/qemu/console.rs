//! Waits until the guest's console shows a text.

use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use super::folder::MachineFolder;

/// The result of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConsoleWait {
    /// The console shows the words.
    Words,
    /// The machine ended.
    End,
    /// The time is over.
    Silence,
}

/// Waits until the console shows `words`. Blocks the thread.
pub(super) fn await_words(
    folder: &MachineFolder,
    words: &str,
    time: Duration,
) -> io::Result<ConsoleWait> {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let changes =
        inotify::WatchFlags::CREATE | inotify::WatchFlags::MODIFY | inotify::WatchFlags::MOVED_TO;
    inotify::add_watch(&watch, folder.run(), changes)?;
    let deadline = Instant::now() + time;
    loop {
        if folder.console_says(words) {
            return Ok(ConsoleWait::Words);
        }
        if folder.run().join("end.json").exists() {
            return Ok(ConsoleWait::End);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || !folder.run().exists() {
            return Ok(ConsoleWait::Silence);
        }
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        poll(&mut [PollFd::new(&watch, PollFlags::IN)], Some(&left))?;
        let mut buffer = [0; 4096];
        while rustix::io::read(&watch, &mut buffer).is_ok() {}
    }
}
