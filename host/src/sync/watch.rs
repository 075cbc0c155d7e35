//! Waits until files of a source tree may have changed.
//!
//! If the system watches single folders (inotify), it watches only the folders
//! of the source, so that ignored files cost nothing. A new listing decides
//! whether something has changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::ModifyKind;
use notify::{ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, WatcherKind};
use protocol::{Failure, FailureKind};
use tokio::sync::Notify;

use crate::output::Printer;

/// A burst of changes ends when nothing changes for this time.
const QUIET: Duration = Duration::from_millis(50);
/// The maximum time to wait for the end of a burst.
const LONGEST: Duration = Duration::from_millis(500);
/// The interval between listings if the system cannot watch.
const LOOK: Duration = Duration::from_secs(1);

/// Watches folders.
pub(crate) struct Watch {
    /// Absent if the system cannot watch.
    watcher: Option<RecommendedWatcher>,
    told: Arc<Changed>,
    folders: BTreeSet<PathBuf>,
}

/// The events of the system.
#[derive(Default)]
struct Changed {
    changed: Notify,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    /// The watched roots. The folders around them are watched, too, to notice a
    /// replaced root. Other events there are ignored.
    roots: Vec<PathBuf>,
    /// Removed and renamed paths. The watch of a folder ends with it, even if a
    /// new folder has the same name.
    gone: BTreeSet<PathBuf>,
    /// Whether the system has lost events.
    missed: bool,
}

/// Why the system cannot watch. The caller lists the files once a second
/// instead.
#[derive(Debug, thiserror::Error)]
#[error("this system can watch no more folders: changes are looked for once a second")]
pub(crate) struct Polling {
    #[source]
    source: notify::Error,
}

impl Polling {
    /// Prints a warning with the reason.
    pub(crate) fn tell(&self, printer: &mut Printer) {
        let failure = Failure::from_error(FailureKind::Machine, self);
        let text = [vec![failure.message], failure.causes].concat().join(": ");
        printer.warning(&text, self.remedy());
    }

    /// Returns the command that raises the limit.
    fn remedy(&self) -> Option<&'static str> {
        match &self.source.kind {
            ErrorKind::MaxFilesWatch => Some("sudo sysctl fs.inotify.max_user_watches=524288"),
            // EMFILE of `inotify_init`.
            ErrorKind::Io(error) if error.raw_os_error() == Some(24) => {
                Some("sudo sysctl fs.inotify.max_user_instances=512")
            }
            _ => None,
        }
    }
}

impl Watch {
    /// Makes a watch without folders.
    pub(crate) fn new() -> (Self, Option<Polling>) {
        let told = Arc::new(Changed::default());
        let teller = Arc::clone(&told);
        let made = notify::recommended_watcher(move |event| teller.hear(&event));
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

    /// Watches these folders, which are below these roots, and no others.
    /// Changes in a new folder before this call are lost. So list again if the
    /// result is [`Grown::Yes`].
    pub(crate) fn set<'a>(
        &mut self,
        roots: impl Iterator<Item = &'a Path>,
        folders: impl Iterator<Item = &'a Path>,
    ) -> Result<Grown, Polling> {
        let roots: Vec<PathBuf> = roots.map(Path::to_owned).collect();
        let (wanted, mode) = if RecommendedWatcher::kind() == WatcherKind::Inotify {
            let around = roots.iter().filter_map(|root| root.parent());
            let around = around.map(Path::to_owned);
            let wanted = folders.map(Path::to_owned).chain(around).collect();
            (wanted, RecursiveMode::NonRecursive)
        } else {
            (roots.iter().cloned().collect(), RecursiveMode::Recursive)
        };
        let gone = self.told.take_gone(roots);
        self.forget(&gone);
        self.follow(wanted, mode)
    }

    /// Ends the watches of removed folders, so that new ones can replace them.
    fn forget(&mut self, gone: &Gone) {
        let is_gone = |folder: &Path| match gone {
            Gone::Everything => true,
            Gone::These(paths) => paths.iter().any(|path| folder.starts_with(path)),
        };
        let (gone, kept) = std::mem::take(&mut self.folders)
            .into_iter()
            .partition::<BTreeSet<_>, _>(|folder| is_gone(folder));
        self.folders = kept;
        for folder in gone {
            self.unwatch(&folder);
        }
    }

    fn unwatch(&mut self, folder: &Path) {
        if let Some(watcher) = &mut self.watcher {
            // The system ends the watch of a removed folder itself.
            let _ = watcher.unwatch(folder);
        }
    }

    fn follow(&mut self, wanted: BTreeSet<PathBuf>, mode: RecursiveMode) -> Result<Grown, Polling> {
        let unwanted: Vec<_> = self.folders.difference(&wanted).cloned().collect();
        for folder in unwanted {
            self.unwatch(&folder);
            self.folders.remove(&folder);
        }
        let mut grown = Grown::No;
        for folder in wanted {
            let Some(watcher) = &mut self.watcher else {
                return Ok(Grown::No);
            };
            if self.folders.contains(&folder) {
                continue;
            }
            match watcher.watch(&folder, mode) {
                Ok(()) => {
                    grown = Grown::Yes;
                    self.folders.insert(folder);
                }
                Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => {}
                Err(source) => {
                    self.watcher = None;
                    return Err(Polling { source });
                }
            }
        }
        Ok(grown)
    }

    /// Acts as if something had changed.
    pub(crate) fn wake(&self) {
        self.told.changed.notify_one();
    }

    /// Waits for a change, and for the end of its burst.
    pub(crate) async fn changed(&mut self) {
        if self.watcher.is_none() {
            return tokio::time::sleep(LOOK).await;
        }
        self.told.changed.notified().await;
        let burst = async {
            while tokio::time::timeout(QUIET, self.told.changed.notified())
                .await
                .is_ok()
            {}
        };
        // Return even if the changes never stop.
        let _ = tokio::time::timeout(LONGEST, burst).await;
    }
}

/// Whether there are new watched folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grown {
    Yes,
    No,
}

/// The folders whose watches have ended.
enum Gone {
    These(BTreeSet<PathBuf>),
    Everything,
}

impl Changed {
    /// Handles an event. Ignores reads: locald itself reads the files.
    fn hear(&self, event: &notify::Result<notify::Event>) {
        let Ok(event) = event else {
            self.changed.notify_one();
            return;
        };
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let is_near = |path: &PathBuf| heard.roots.iter().any(|root| path.starts_with(root));
        if event.need_rescan() {
            heard.missed = true;
        } else if !event.paths.iter().any(is_near) {
            return;
        }
        let is_end = matches!(
            event.kind,
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
        );
        if is_end {
            heard.gone.extend(event.paths.iter().cloned());
        }
        drop(heard);
        self.changed.notify_one();
    }

    /// Returns the removed paths since the last call, and sets the roots.
    fn take_gone(&self, roots: Vec<PathBuf>) -> Gone {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = std::mem::replace(
            &mut *heard,
            Heard {
                roots,
                ..Heard::default()
            },
        );
        if heard.missed {
            Gone::Everything
        } else {
            Gone::These(heard.gone)
        }
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

    /// A watched root with a watched folder.
    struct Watched {
        _top: tempfile::TempDir,
        root: PathBuf,
        watch: Watch,
    }

    impl Watched {
        async fn new() -> Self {
            let top = tempfile::tempdir().unwrap();
            let root = dunce::canonicalize(top.path()).unwrap().join("root");
            fs_err::create_dir_all(root.join("a")).unwrap();
            let (watch, _) = Watch::new();
            let mut watched = Self {
                _top: top,
                root,
                watch,
            };
            watched.follow();
            watched.write("a/first").await;
            watched
        }

        /// Watches the present folders, as after a listing.
        fn follow(&mut self) -> Grown {
            let folders = ["", "a", "b"].map(|name| self.root.join(name));
            let folders = folders.iter().filter(|folder| folder.is_dir());
            let roots = [&*self.root].into_iter();
            self.watch
                .set(roots, folders.map(PathBuf::as_path))
                .unwrap()
        }

        /// Changes a file, and waits for the event.
        async fn write(&mut self, path: &str) {
            fs_err::write(self.root.join(path), "x").unwrap();
            within(self.watch.changed()).await;
        }
    }

    #[tokio::test]
    async fn a_folder_that_is_made_again_is_watched_again() {
        let mut watched = Watched::new().await;
        let folder = watched.root.join("a");
        fs_err::remove_dir_all(&folder).unwrap();
        fs_err::create_dir(&folder).unwrap();
        within(watched.watch.changed()).await;
        assert_eq!(watched.follow(), Grown::Yes);
        watched.write("a/later").await;
    }

    #[tokio::test]
    async fn folders_that_change_their_names_are_watched() {
        let mut watched = Watched::new().await;
        let (a, b) = (watched.root.join("a"), watched.root.join("b"));
        fs_err::rename(&a, &b).unwrap();
        fs_err::create_dir(&a).unwrap();
        within(watched.watch.changed()).await;
        watched.follow();
        watched.write("a/later").await;
        watched.write("b/later").await;
    }

    #[tokio::test]
    async fn a_root_that_is_replaced_is_watched_again() {
        let mut watched = Watched::new().await;
        let aside = watched.root.with_file_name("aside");
        fs_err::rename(&watched.root, aside).unwrap();
        within(watched.watch.changed()).await;
        // The root does not exist now.
        fs_err::create_dir_all(watched.root.join("a")).unwrap();
        within(watched.watch.changed()).await;
        watched.follow();
        watched.write("a/later").await;
        // A change beside the root is not an event.
        fs_err::write(watched.root.with_file_name("beside"), "").unwrap();
        let quiet = tokio::time::timeout(QUIET * 4, watched.watch.changed()).await;
        assert!(quiet.is_err(), "what is beside the root is told");
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_one_change_and_ends_in_time() {
        let (mut watch, _) = Watch::new();
        let told = Arc::clone(&watch.told);
        let start = tokio::time::Instant::now();
        let burst = tokio::spawn(async move {
            loop {
                told.changed.notify_one();
                tokio::time::sleep(QUIET / 2).await;
            }
        });
        watch.changed().await;
        assert_eq!(start.elapsed(), LONGEST);
        burst.abort();
        let _ = burst.await;
        let start = tokio::time::Instant::now();
        watch.told.changed.notify_one();
        watch.changed().await;
        assert_eq!(start.elapsed(), QUIET);
    }
}
