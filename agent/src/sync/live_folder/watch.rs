//! Reports that the copy has changed. A scan then finds the changes.

use std::path::Path;
use std::time::Duration;

use notify::{Config, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::watch;
use tokio::time::Instant;

/// The time to wait for further changes after the first one.
const COMPANY: Duration = Duration::from_millis(50);
/// The interval between scans if the system cannot report changes.
const LOOK: Duration = Duration::from_secs(1);

/// Watches a directory until it is dropped.
pub(super) struct Watch {
    changes: watch::Receiver<u64>,
    /// The watcher; absent if the system cannot report changes.
    watcher: Option<RecommendedWatcher>,
    looked: Instant,
}

impl Watch {
    /// Starts to watch. If the system has no watch left, reports a change at
    /// each interval.
    pub(super) fn start(root: &Path) -> Self {
        let (teller, changes) = watch::channel(0);
        let notify = move |event: notify::Result<notify::Event>| {
            // Ignores read accesses, because scans read.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                teller.send_modify(|count| *count += 1);
            }
        };
        let config = Config::default().with_follow_symlinks(false);
        let watcher = RecommendedWatcher::new(notify, config).and_then(|mut watcher| {
            watcher.watch(root, RecursiveMode::Recursive)?;
            Ok(watcher)
        });
        let watcher = watcher
            .inspect_err(|error| tracing::warn!(%error, "changes are looked for"))
            .ok();
        Self {
            changes,
            watcher,
            looked: Instant::now(),
        }
    }

    /// Waits for a change. If the caller cancels the wait, it must scan.
    pub(super) async fn changed(&mut self) {
        if self.watcher.is_none() {
            tokio::time::sleep_until(self.looked + LOOK).await;
        } else if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(COMPANY).await;
    }

    /// Ignores all changes before this call.
    pub(super) fn reset(&mut self) {
        self.changes.mark_unchanged();
        self.looked = Instant::now();
    }
}
