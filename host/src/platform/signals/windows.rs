//! Receives console events.

use std::io;
use std::time::Duration;

use protocol::input::Signal;
use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, ctrl_break, ctrl_c, ctrl_close};

use super::SignalEvent;

/// The interval between checks of the console's size. Windows reports no change
/// of it.
const LOOK: Duration = Duration::from_millis(250);

/// The handled console events.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: CtrlC,
    quit: CtrlBreak,
    hangup: CtrlClose,
    size: Option<(u16, u16)>,
}

impl Signals {
    /// Installs handlers. From now on, these events do not end the process.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            quit: ctrl_break()?,
            hangup: ctrl_close()?,
            size: size(),
        })
    }

    /// Waits for the next event.
    pub(crate) async fn next(&mut self) -> SignalEvent {
        loop {
            return SignalEvent::Signal(tokio::select! {
                _ = self.interrupt.recv() => Signal::Interrupt,
                _ = self.quit.recv() => Signal::Quit,
                _ = self.hangup.recv() => Signal::Hangup,
                () = tokio::time::sleep(LOOK) => {
                    let before = std::mem::replace(&mut self.size, size());
                    if before == self.size {
                        continue;
                    }
                    return SignalEvent::Resized;
                }
            });
        }
    }
}

/// Returns the console's columns and rows. Returns `None` without a console.
fn size() -> Option<(u16, u16)> {
    crossterm::terminal::size().ok()
}
