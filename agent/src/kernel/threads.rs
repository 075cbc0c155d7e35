//! Checks that this process may start as many threads as it needs. If it may
//! not, tokio would end the process.

use std::io;
use std::sync::mpsc;
use std::thread;

use protocol::{Failure, FailureKind};
use rustix::process::{Resource, getrlimit};

/// Threads in addition to tokio's workers. There is one worker for each
/// processor.
const MORE: usize = 8;

/// Fails if the process may not start the threads. The failure names the limit.
pub fn check() -> Result<(), Failure> {
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let count = processors + MORE;
    start(count).map_err(|error| {
        let message = format!("{count} threads cannot be started");
        let mut failure = Failure::new(FailureKind::Machine, message);
        failure.causes = vec![error.to_string()];
        failure.with_hint(match getrlimit(Resource::Nproc).current {
            Some(most) => format!(
                "you may have {most} processes and threads: end some of them, or raise that (`ulimit -u`)"
            ),
            None => "end other programs, or raise the limit of the container or service that this runs in".to_owned(),
        })
    })
}

/// Starts threads that end at once.
fn start(count: usize) -> io::Result<()> {
    let mut held = Vec::new();
    for _ in 0..count {
        let (end, ended) = mpsc::channel::<()>();
        let builder = thread::Builder::new().stack_size(64 * 1024);
        let started = builder.spawn(move || ended.recv().is_ok())?;
        held.push((end, started));
    }
    for (end, started) in held {
        drop(end);
        let _ = started.join();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_there_and_end() {
        assert!(check().is_ok());
    }
}
