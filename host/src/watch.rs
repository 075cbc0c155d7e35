//! Waits until files of a source tree may have changed.
//!
//! Where the system watches single folders (inotify), only those that belong
//! to the source are watched, so that what a project ignores costs nothing.
//! Whether something did change is for a new listing to say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, WatcherKind};
use protocol::{Failure, FailureKind};
use tokio::sync::Notify;

use crate::printer::Printer;

/// A burst of changes is over when nothing more comes for so long.
const QUIET: Duration = Duration::from_millis(50);
/// So long a burst is waited for.
const LONGEST: Duration = Duration::from_millis(500);
/// How often is looked where the system tells of no change.
const LOOK: Duration = Duration::from_secs(1);

/// Watches folders.
pub(crate) struct Watch {
    /// Absent where the system cannot tell.
    watcher: Option<RecommendedWatcher>,
    told: Arc<Notify>,
    folders: BTreeSet<PathBuf>,
}

/// The system does not tell of changes: they are looked for.
#[derive(Debug, thiserror::Error)]
#[error("this system can watch no more folders: changes are looked for once a second")]
pub(crate) struct Polling {
    #[source]
    source: notify::Error,
}

impl Polling {
    /// Says so, and why.
    pub(crate) fn tell(&self, printer: &mut Printer) {
        let failure = Failure::from_error(FailureKind::Machine, self);
        let text = [vec![failure.message], failure.causes].concat().join(": ");
        printer.warning(&text, self.remedy());
    }

    /// What the system's administrator can do.
    fn remedy(&self) -> Option<&'static str> {
        match &self.source.kind {
            ErrorKind::MaxFilesWatch => Some("sudo sysctl fs.inotify.max_user_watches=524288"),
            // EMFILE of inotify_init.
            ErrorKind::Io(error) if error.raw_os_error() == Some(24) => {
                Some("sudo sysctl fs.inotify.max_user_instances=512")
            }
            _ => None,
        }
    }
}

impl Watch {
    /// Watches nothing yet.
    pub(crate) fn new() -> (Self, Option<Polling>) {
        let told = Arc::new(Notify::new());
        let teller = Arc::clone(&told);
        let made = notify::recommended_watcher(move |event| tell(&event, &teller));
        let (watcher, polling) = match made {
            Ok(watcher) => (Some(watcher), None),
            Err(source) => (None, Some(Polling { source })),
        };
        let folders = BTreeSet::new();
        let watch = Self {
            watcher,
            told,
            folders,
        };
        (watch, polling)
    }

    /// Watches these folders, below these roots, and no others. What changes
    /// in a new one before this is not told: list again when there is one.
    pub(crate) fn set<'a>(
        &mut self,
        roots: impl Iterator<Item = &'a Path>,
        folders: impl Iterator<Item = &'a Path>,
    ) -> Result<Grown, Polling> {
        let (wanted, mode) = if RecommendedWatcher::kind() == WatcherKind::Inotify {
            let folders = folders.map(Path::to_owned).collect();
            (folders, RecursiveMode::NonRecursive)
        } else {
            (
                roots.map(Path::to_owned).collect(),
                RecursiveMode::Recursive,
            )
        };
        self.follow(wanted, mode)
    }

    fn follow(&mut self, wanted: BTreeSet<PathBuf>, mode: RecursiveMode) -> Result<Grown, Polling> {
        let Some(watcher) = &mut self.watcher else {
            return Ok(Grown::No);
        };
        for gone in self.folders.difference(&wanted) {
            // The watch of a removed folder ends by itself.
            let _ = watcher.unwatch(gone);
        }
        let mut grown = Grown::No;
        for new in wanted.difference(&self.folders) {
            match watcher.watch(new, mode) {
                Ok(()) => grown = Grown::Yes,
                Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => {}
                Err(source) => {
                    self.watcher = None;
                    return Err(Polling { source });
                }
            }
        }
        self.folders = wanted;
        Ok(grown)
    }

    /// As if something had changed.
    pub(crate) fn wake(&self) {
        self.told.notify_one();
    }

    /// Waits for a change and for the end of the burst that it belongs to.
    pub(crate) async fn changed(&mut self) {
        if self.watcher.is_none() {
            return tokio::time::sleep(LOOK).await;
        }
        self.told.notified().await;
        let burst = async {
            while tokio::time::timeout(QUIET, self.told.notified())
                .await
                .is_ok()
            {}
        };
        // What never stops changing is built all the same.
        let _ = tokio::time::timeout(LONGEST, burst).await;
    }
}

/// Whether there are new folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grown {
    Yes,
    No,
}

/// Our own reading is no change.
fn tell(event: &notify::Result<notify::Event>, told: &Notify) {
    if !matches!(event, Ok(event) if matches!(event.kind, EventKind::Access(_))) {
        told.notify_one();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    async fn within<T>(work: impl Future<Output = T>) -> T {
        tokio::time::timeout(DEADLINE, work).await.unwrap()
    }

    #[tokio::test]
    async fn a_change_is_told_and_reading_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = dunce::canonicalize(folder.path()).unwrap();
        let (mut watch, polling) = Watch::new();
        assert!(polling.is_none());
        let set = |watch: &mut Watch| watch.set([&*root].into_iter(), [&*root].into_iter());
        assert_eq!(set(&mut watch).unwrap(), Grown::Yes);
        assert_eq!(set(&mut watch).unwrap(), Grown::No);
        fs_err::write(root.join("a"), "1").unwrap();
        within(watch.changed()).await;
        fs_err::read(root.join("a")).unwrap();
        fs_err::read_dir(&root).unwrap().count();
        let quiet = tokio::time::timeout(QUIET * 4, watch.changed()).await;
        assert!(quiet.is_err(), "reading is told");
        fs_err::remove_file(root.join("a")).unwrap();
        within(watch.changed()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_one_change_and_ends_in_time() {
        let (mut watch, _) = Watch::new();
        let told = Arc::clone(&watch.told);
        let start = tokio::time::Instant::now();
        let burst = tokio::spawn(async move {
            loop {
                told.notify_one();
                tokio::time::sleep(QUIET / 2).await;
            }
        });
        watch.changed().await;
        assert_eq!(start.elapsed(), LONGEST);
        burst.abort();
        let _ = burst.await;
        let start = tokio::time::Instant::now();
        watch.told.notify_one();
        watch.changed().await;
        assert_eq!(start.elapsed(), QUIET);
    }
}
