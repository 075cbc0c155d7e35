//! Names the steps at which tests kill the agent.
//!
//! A power cut or a kill can come between any two steps. After each step that
//! changes the store, the code calls [`at`] with the step's name. In a build
//! with the feature `crash-points`, [`at`] kills the process if
//! `LOCALD_CRASH_AT` has that name; in other builds it does nothing.
//! `LOCALD_CRASH_TRACE` names a file to which [`at`] adds each step, so that a
//! test knows all of them.

/// A step of the agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// A blob has its content, under a temporary name.
    BlobWritten,
    /// A blob's content is on the disk.
    BlobSynced,
    /// A blob is visible.
    BlobVisible,
    /// The index has new content, under a temporary name.
    IndexWritten,
    /// The index is replaced.
    IndexReplaced,
    /// The copy of the index is replaced, too.
    IndexCopied,
    /// A lost index is made again.
    IndexRestored,
    /// The documents of an image that is pulled are in the store.
    DocumentsStored,
    /// An image that is pulled has its name, and no layers yet.
    PulledNameSet,
    /// A layer has all its files, under a temporary name.
    LayerExtracted,
    /// A layer is visible.
    LayerVisible,
    /// The tree of a layer has taken the place of one that had changed.
    LayerReplaced,
    /// All layers of a pull are visible.
    LayersFetched,
    /// The phases of a build have ended well; its image has no name yet.
    PhasesEnded,
    /// The image of a build has its names.
    BuildNamed,
    /// The layers of a build are kept for shells.
    BuildKept,
    /// A build is recorded.
    BuildRecorded,
    /// The first file of an export is sent.
    ExportBegun,
    /// All files of an export are sent.
    ExportSent,
    /// A name is removed.
    NameRemoved,
    /// A tree has lost its name, and all its files are still there.
    RemovalBegun,
    /// A project's directory is removed.
    ProjectRemoved,
    /// Something that nothing needs is removed.
    Swept,
    /// A damaged blob is removed, to be fetched again.
    DamageRemoved,
}

/// Says that a step is done.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub(crate) const fn at(_: Point) {}

/// Says that a step is done, and ends here when a test says so.
#[cfg(feature = "crash-points")]
pub(crate) fn at(point: Point) {
    use std::io::Write as _;
    let name = format!("{point:?}");
    if let Some(path) = std::env::var_os("LOCALD_CRASH_TRACE") {
        let file = fs_err::OpenOptions::new().append(true).open(path);
        let _ = file.and_then(|mut file| writeln!(file, "{name}"));
    }
    if std::env::var_os("LOCALD_CRASH_AT").is_some_and(|wanted| *wanted == *name) {
        let own = rustix::process::getpid();
        let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        // The signal is on its way to this thread.
        loop {
            std::thread::park();
        }
    }
}
