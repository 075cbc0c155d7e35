//! Receives Unix signals.

use std::io;

use protocol::input;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::SignalEvent;

/// The handled signals.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    quit: Signal,
    user1: Signal,
    user2: Signal,
    resized: Signal,
}

impl Signals {
    /// Installs handlers. From now on, these signals do not end the process.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            resized: signal(SignalKind::window_change())?,
        })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) -> SignalEvent {
        SignalEvent::Signal(tokio::select! {
            _ = self.interrupt.recv() => input::Signal::Interrupt,
            _ = self.terminate.recv() => input::Signal::Terminate,
            _ = self.hangup.recv() => input::Signal::Hangup,
            _ = self.quit.recv() => input::Signal::Quit,
            _ = self.user1.recv() => input::Signal::User1,
            _ = self.user2.recv() => input::Signal::User2,
            _ = self.resized.recv() => return SignalEvent::Resized,
        })
    }
}
