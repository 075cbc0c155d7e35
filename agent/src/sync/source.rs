//! Receives the project's source: a copy of each tree that the host lists. The
//! host sends only changed files.
//!
//! ```text
//! source/N/        the tree
//! source/N.note    its listing, with the digest of each file; removed before the
//!                  tree changes and written afterwards, because a tree without
//!                  a listing is not trusted
//! source/ended     see the module `times`
//! ```
//!
//! A file's time changes only with its content. So tools that compare times,
//! such as Cargo, see exactly the changed files.
//!
//! The listings come from the host and are not trusted. No path in them leads
//! out of the tree.

mod listing;
mod receive;
mod times;
mod tree;
mod writers;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use protocol::source::{Entry, EntryKind, Tree};
use protocol::{Event, Failure, FailureKind, Input};

use crate::images::digest::Digest;
use crate::request::stream::{HostGone, Incoming, Inputs, RequestStream};
use listing::Listing;
pub(crate) use listing::{Known, check};
pub(crate) use receive::{Wanted, receive_file};
use receive::{receive_content, receive_size, receive_whole};
pub(crate) use times::Times;
pub(crate) use tree::TreeDir;
use writers::Writers;

/// The most paths of all trees together.
pub(crate) const ENTRY_CAP: usize = 2_000_000;
/// The most files to request at a time.
const ASKED: usize = 4096;
/// The most bytes of a file that is received whole before it is written.
const WHOLE: u64 = 256 * 1024;

/// A received tree.
#[derive(Debug, Clone)]
pub struct Source {
    /// Path of the tree.
    pub path: PathBuf,
    /// Digest over all paths, modes, contents and link targets.
    pub digest: Digest,
    /// Number of regular files.
    pub files: u64,
}

/// The source cannot be received.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The host violated the protocol.
    #[error("the source cannot be received: {0}")]
    Protocol(&'static str),
    /// A path leads out of the tree, or is malformed.
    #[error("the source holds the path {0:?}, which is refused")]
    Path(String),
    /// The host could not read a file.
    #[error("{0}")]
    Lost(String),
    /// The agent could not write a file.
    #[error("cannot write {path:?} of the source")]
    Write {
        /// Path in the tree.
        path: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The host has closed its connection.
    #[error(transparent)]
    HostGone(#[from] HostGone),
}

/// Receives all source trees of a request into a project's directory: see
/// [`protocol::source`].
///
/// `project` is the project's directory in the store; the caller holds its
/// lock. `trees` is the number of trees that the host lists: the application,
/// then buildpacks. Returns the trees in that order, each with the digest of
/// its listing and files. The host sends only changed files.
///
/// # Errors
///
/// [`SourceError::Path`] and [`SourceError::Protocol`] for invalid messages,
/// [`SourceError::Write`] if a file cannot be written,
/// [`SourceError::HostGone`] if the connection ends.
pub async fn receive(
    project: &Path,
    trees: u16,
    stream: &RequestStream,
    inputs: &mut Inputs,
) -> Result<Vec<Source>, SourceError> {
    let listings = receive_listings(trees, inputs).await?;
    let root = root(project);
    let times = Times::begin(&root).map_err(|source| write_error(&root, source))?;
    let (mut sources, mut received) = (Vec::new(), 0);
    for (tree, entries) in listings {
        let update = Update::new(&root, tree, entries, times)?;
        let (source, bytes) = update.run(stream, inputs).await?;
        received += bytes;
        sources.push(source);
    }
    let files = sources.iter().map(|source| source.files).sum();
    stream
        .event(Event::SourceComplete { files, received })
        .await?;
    Ok(sources)
}

/// Records that the build of a project's source has ended, successfully or not.
pub fn end(project: &Path) -> Result<(), SourceError> {
    let root = root(project);
    Times::end(&root).map_err(|source| write_error(&root, source))
}

fn root(project: &Path) -> PathBuf {
    project.join("source")
}

async fn receive_listings(
    trees: u16,
    inputs: &mut Inputs,
) -> Result<BTreeMap<Tree, Vec<Entry>>, SourceError> {
    let mut listings: BTreeMap<Tree, Vec<Entry>> = (0..trees).map(|n| (Tree(n), vec![])).collect();
    let mut total = 0;
    loop {
        match inputs.recv().await.ok_or(HostGone)? {
            Incoming::Input(Input::SourceEntries { tree, entries }) => {
                total += entries.len();
                if total > ENTRY_CAP {
                    return Err(SourceError::Protocol("it has more than 2 million files"));
                }
                let listing = listings.get_mut(&tree);
                let listing = listing.ok_or(SourceError::Protocol("an unknown tree"))?;
                for entry in entries {
                    listing::check(listing.last(), &entry)?;
                    listing.push(entry);
                }
            }
            Incoming::Input(Input::SourceListed) => return Ok(listings),
            _ => return Err(SourceError::Protocol("something else than a listing came")),
        }
    }
}

/// The update of one tree from its last listing to a new one.
struct Update {
    tree: Tree,
    entries: Vec<Entry>,
    listing: PathBuf,
    path: PathBuf,
    /// The current content of the tree.
    known: Listing,
    times: Times,
}

impl Update {
    fn new(
        root: &Path,
        tree: Tree,
        entries: Vec<Entry>,
        times: Times,
    ) -> Result<Self, SourceError> {
        let path = root.join(tree.0.to_string());
        let listing = root.join(format!("{}.note", tree.0));
        let known = Listing::load(&listing, &path);
        if known.is_none() && path.exists() {
            crate::store::remove_tree(&path)
                .map_err(|error| write_error(Path::new("."), io::Error::other(error)))?;
        }
        fs_err::create_dir_all(&path).map_err(|source| write_error(Path::new("."), source))?;
        Ok(Self {
            tree,
            entries,
            listing,
            path,
            known: known.unwrap_or_default(),
            times,
        })
    }

    async fn run(
        mut self,
        stream: &RequestStream,
        inputs: &mut Inputs,
    ) -> Result<(Source, u64), SourceError> {
        let kept: Vec<bool> = self.entries.iter().map(|it| self.known.keeps(it)).collect();
        let same = kept.iter().all(|kept| *kept) && self.entries.len() == self.known.len();
        let mut received = 0;
        if !same {
            Listing::remove(&self.listing).map_err(|source| write_error(&self.listing, source))?;
            let tree = TreeDir::open(&self.path)?;
            for path in self.known.take_vanished(&self.entries, &kept) {
                tree.remove(&path)?;
            }
            let mut files = Vec::new();
            for (index, entry) in self.entries.iter().enumerate() {
                match &entry.kind {
                    _ if kept[index] => {}
                    EntryKind::File { .. } => files.push(index),
                    EntryKind::Directory { mode } => {
                        tree.directory(&entry.path, *mode)?;
                        self.known.add(entry, None);
                    }
                    EntryKind::Symlink { target } => {
                        tree.symlink(&entry.path, target)?;
                        self.known.add(entry, None);
                    }
                }
            }
            received = self.receive_files(&files, &tree, stream, inputs).await?;
            self.known
                .save(&self.listing)
                .map_err(|source| write_error(&self.listing, source))?;
        }
        let source = Source {
            path: self.path,
            digest: self.known.digest(),
            files: self.known.files(),
        };
        Ok((source, received))
    }

    /// Receives files by their numbers. Returns the number of their bytes.
    async fn receive_files(
        &mut self,
        files: &[usize],
        directory: &TreeDir,
        stream: &RequestStream,
        inputs: &mut Inputs,
    ) -> Result<u64, SourceError> {
        let mut writers = Writers::start(directory, self.times)?;
        let mut received = 0;
        for asked in files.chunks(ASKED) {
            ask(stream, self.tree, asked).await?;
            for index in asked {
                let entry = &self.entries[*index];
                let wanted = Wanted {
                    tree: self.tree,
                    index: *index,
                    entry,
                    before: self.known.digest_of(entry),
                    times: self.times,
                };
                let size = receive_size(&wanted, inputs).await?;
                received += size;
                if size <= WHOLE {
                    let file = receive_whole(&wanted, size, inputs).await?;
                    writers.write(file).await;
                } else {
                    let digest = receive_content(&wanted, size, directory, inputs).await?;
                    self.known.add(entry, Some(digest));
                }
            }
        }
        for (index, digest) in writers.finish().await? {
            self.known.add(&self.entries[index], Some(digest));
        }
        Ok(received)
    }
}

async fn ask(stream: &RequestStream, tree: Tree, indices: &[usize]) -> Result<(), HostGone> {
    let index = |index: &usize| u32::try_from(*index).unwrap_or(u32::MAX);
    let indices = indices.iter().map(index).collect();
    stream.event(Event::SourceWanted { tree, indices }).await
}

pub(crate) fn write_error(path: &Path, source: io::Error) -> SourceError {
    SourceError::Write {
        path: path.display().to_string(),
        source,
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let kind = match &error {
            SourceError::Write { source, .. } if protocol::is_full(source) => FailureKind::DiskFull,
            SourceError::Write { .. } => FailureKind::Store,
            SourceError::HostGone(_) => FailureKind::Cancelled,
            _ => FailureKind::Source,
        };
        Self::from_error(kind, &error)
    }
}
