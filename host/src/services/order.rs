//! The orders that a supervisor takes.

use tokio::sync::oneshot;

/// An order for a supervisor.
#[derive(Debug)]
pub(crate) enum Order {
    /// Start. Stops a running process first.
    Start,
    /// Like `Start`, also after the user stopped the service.
    Restart,
    /// Stop, and report on the channel when that is done.
    Stop(oneshot::Sender<()>),
    /// Kill the process.
    Kill,
}
