//! The states of all services, shared by supervisors and readers.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::report::{ServiceState, ServiceStatus, Statuses};

/// The table of states. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct StatusTable {
    statuses: watch::Sender<Statuses>,
    /// The states that other processes can read. Closed if no task writes them.
    written: watch::Receiver<Statuses>,
}

impl StatusTable {
    /// Makes a table in which all services wait.
    pub(crate) fn new<'a>(services: impl Iterator<Item = (&'a str, Option<u16>)>) -> Self {
        let waiting = |(name, port): (&str, _)| {
            let status = ServiceStatus {
                state: ServiceState::Waiting,
                port,
                restarts: 0,
                since: now(),
            };
            (name.to_owned(), status)
        };
        Self {
            statuses: watch::Sender::new(services.map(waiting).collect()),
            written: watch::channel(Statuses::new()).1,
        }
    }

    /// Makes a table whose states other processes can read. The caller writes
    /// the states, and sends them to the returned sender after that.
    pub(crate) fn shared(self) -> (Self, watch::Sender<Statuses>) {
        let (writer, written) = watch::channel(Statuses::new());
        (Self { written, ..self }, writer)
    }

    /// Sets the state of a service.
    pub(super) fn set(&self, service: &str, state: ServiceState) {
        self.statuses.send_if_modified(|statuses| {
            let Some(status) = statuses.get_mut(service) else {
                return false;
            };
            let changes = status.state != state;
            if changes {
                status.state = state;
                status.since = now();
            }
            changes
        });
    }

    /// Counts a restart after a crash.
    pub(super) fn count_restart(&self, service: &str) {
        self.statuses.send_modify(|statuses| {
            if let Some(status) = statuses.get_mut(service) {
                status.restarts += 1;
            }
        });
    }

    /// Waits until all these services are ready.
    pub(super) async fn ready(&self, services: &[String]) {
        let ready = |statuses: &Statuses| {
            let mut wanted = services.iter().filter_map(|name| statuses.get(name));
            wanted.all(|status| status.state.is_ready())
        };
        // This table holds the sender, so the channel stays open.
        let _ = self.statuses.subscribe().wait_for(ready).await;
    }

    /// Returns a receiver of all later changes.
    pub(crate) fn look(&self) -> watch::Receiver<Statuses> {
        self.statuses.subscribe()
    }

    /// Waits until other processes can read all of the present states.
    pub(super) async fn written(&self) {
        let is_all = |written: &Statuses| *written == *self.statuses.borrow();
        // Returns at once if no task writes the states.
        let _ = self.written.clone().wait_for(is_all).await;
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_depends_waits_until_all_are_ready() {
        let status_table = StatusTable::new([("db", Some(1)), ("job", None)].into_iter());
        let needs = ["db".to_owned(), "job".to_owned()];
        let is_ready = async || {
            let moment = std::time::Duration::from_millis(1);
            tokio::time::timeout(moment, status_table.ready(&needs))
                .await
                .is_ok()
        };
        status_table.set("db", ServiceState::Healthy);
        assert!(!is_ready().await);
        status_table.set("job", ServiceState::Ended(1));
        assert!(!is_ready().await);
        status_table.set("job", ServiceState::Ended(0));
        assert!(is_ready().await);
        status_table.set("db", ServiceState::Resting);
        assert!(!is_ready().await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_written_is_not_told() {
        let alone = StatusTable::new([("db", None)].into_iter());
        alone.written().await;
        let (status_table, writer) = alone.shared();
        writer.send_replace(status_table.look().borrow().clone());
        status_table.written().await;
        status_table.set("db", ServiceState::Healthy);
        let moment = std::time::Duration::from_millis(1);
        assert!(
            tokio::time::timeout(moment, status_table.written())
                .await
                .is_err()
        );
        writer.send_replace(status_table.look().borrow().clone());
        status_table.written().await;
        // A writer that has ended does not block.
        status_table.set("db", ServiceState::Stopped);
        drop(writer);
        status_table.written().await;
    }
}
