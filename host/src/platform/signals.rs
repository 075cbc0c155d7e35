//! Receives signals, and changes of the terminal's size.

use protocol::input::Signal;

#[cfg(unix)]
#[path = "signals/unix.rs"]
mod imp;
#[cfg(not(unix))]
#[path = "signals/windows.rs"]
mod imp;

pub(crate) use imp::Signals;

/// A signal, or a change of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignalEvent {
    /// A signal.
    Signal(Signal),
    /// The terminal may have a new size.
    Resized,
}

/// Waits for a signal that ends a command. Returns the exit code for it.
pub(crate) async fn end(signals: &mut Signals) -> u8 {
    loop {
        if let SignalEvent::Signal(signal) = signals.next().await
            && let Some(code) = exit_code(signal)
        {
            return code;
        }
    }
}

/// Returns 128 plus the number of a signal that ends a program. Returns `None`
/// for another signal.
pub(crate) const fn exit_code(signal: Signal) -> Option<u8> {
    match signal {
        Signal::Hangup => Some(129),
        Signal::Interrupt => Some(130),
        Signal::Quit => Some(131),
        Signal::Kill => Some(137),
        Signal::Terminate => Some(143),
        Signal::User1 | Signal::User2 => None,
    }
}
