//! The orders that a supervisor takes.

use tokio::sync::oneshot;

/// What a supervisor is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Start; what runs is stopped first.
    Start,
    /// The same, also after it was stopped by hand.
    Restart,
    /// Stop, and tell when that is done.
    Stop(oneshot::Sender<()>),
    /// Stop at once.
    Kill,
}
