//! Handles `SIGTSTP` and `SIGCONT`.

use std::io;

use rustix::process::{Pid, Signal, getpid, getppid, getsid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::machine;
use crate::output::LiveLines;

/// From now on, containers stop when this process is suspended, and live lines
/// make room for the shell.
pub(crate) fn follow(lines: LiveLines) {
    tokio::spawn(async move {
        // Without a handler the process is suspended all the same.
        let _ = suspensions(&lines).await;
    });
}

async fn suspensions(lines: &LiveLines) -> io::Result<()> {
    let mut suspended = signal(SignalKind::from_raw(libc::SIGTSTP))?;
    while suspended.recv().await.is_some() {
        if !has_shell() {
            continue;
        }
        let mut continued = signal(SignalKind::from_raw(libc::SIGCONT))?;
        lines.hide();
        machine::suspend();
        kill_process(getpid(), Signal::STOP)?;
        continued.recv().await;
        machine::resume();
        lines.show();
    }
    Ok(())
}

/// Whether somebody could let this process go on: as the kernel does it, what
/// no shell looks after is not suspended.
fn has_shell() -> bool {
    let session = |of: Option<Pid>| getsid(of).ok();
    getppid().is_some_and(|parent| session(Some(parent)) == session(None))
}
