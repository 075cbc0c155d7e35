//! Handles `SIGTSTP` and `SIGCONT`.

use std::io;

use rustix::process::{Pid, Signal, getpid, getppid, getsid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::machine;
use crate::output::LiveLines;

/// Installs the handler of Ctrl-Z. When the shell suspends this process, the
/// containers stop, and the live lines disappear.
pub(crate) fn follow(lines: LiveLines) {
    tokio::spawn(async move {
        // Without a handler, Ctrl-Z still suspends this process.
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

/// Whether a shell in this session can resume this process. If there is none,
/// the kernel ignores Ctrl-Z (an orphaned process group), and so does locald.
fn has_shell() -> bool {
    let session = |of: Option<Pid>| getsid(of).ok();
    getppid().is_some_and(|parent| session(Some(parent)) == session(None))
}
