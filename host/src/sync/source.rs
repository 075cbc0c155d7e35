//! Lists the files of a source, and uploads them.

mod archive;
pub(crate) mod files;
mod ignored;
mod kind;
mod live;
mod memory;
mod send;
mod upload;
mod walk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use protocol::source::{Entry, EntryKind};
use protocol::{Failure, FailureKind};

use crate::project::BoundaryError;

pub(crate) use archive::{ArchiveError, list};
pub(crate) use ignored::{BadRule, Rules};
pub(crate) use kind::ProjectKind;
pub(crate) use live::{PART, look, walk_live};
pub(crate) use memory::of_memory;
pub(crate) use send::{lost, send_file};
pub(crate) use upload::{Uploader, chunks};
pub(crate) use walk::{Parents, Scope, is_racy, walk};

/// A tree of files to be sent.
#[derive(Debug)]
pub(crate) struct SourceTree {
    /// Where it is; of one that is in memory, whose it is.
    pub(crate) root: PathBuf,
    /// All that belongs to it, parents first.
    pub(crate) entries: Vec<Entry>,
    /// The folders that were looked into, the root first.
    pub(crate) folders: Vec<PathBuf>,
    /// Paths that are left out because they are neither files, directories nor
    /// links: sockets, fifos, devices.
    pub(crate) skipped: Vec<String>,
    /// Where the bytes of its files come from.
    content: Content,
}

/// Where the bytes of a tree's files come from.
#[derive(Debug)]
enum Content {
    /// The folder itself.
    Folder,
    /// They are here, by the number of their entry.
    Memory(Vec<Vec<u8>>),
    /// They are in an archive.
    Archive(archive::Archive),
}

impl SourceTree {
    fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            entries: Vec::new(),
            folders: vec![root.to_owned()],
            skipped: Vec::new(),
            content: Content::Folder,
        }
    }

    /// The same folder with other entries.
    #[cfg(test)]
    pub(crate) fn of(root: &Path, entries: Vec<Entry>) -> Self {
        Self {
            entries,
            ..Self::new(root)
        }
    }

    /// Whether its files can change on their own.
    pub(crate) const fn is_folder(&self) -> bool {
        matches!(self.content, Content::Folder)
    }

    /// The paths of what differs between two listings of a folder.
    pub(crate) fn changes(&self, before: &Self) -> Vec<String> {
        let state = |tree: &Self| -> BTreeMap<Vec<u8>, EntryKind> {
            let entries = tree.entries.iter();
            entries
                .map(|it| (it.path.clone(), tree.lasting(&it.kind)))
                .collect()
        };
        let (old, new) = (state(before), state(self));
        let gone = old.iter().filter(|(path, _)| !new.contains_key(*path));
        let other = new
            .iter()
            .filter(|(path, kind)| old.get(*path) != Some(*kind));
        let changed = other.chain(gone);
        let (folders, files): (Vec<_>, Vec<_>) =
            changed.partition(|(_, kind)| matches!(kind, EntryKind::Directory { .. }));
        // A folder that comes or goes with its files is not worth a word.
        let told = if files.is_empty() { folders } else { files };
        told.iter()
            .map(|(path, _)| String::from_utf8_lossy(path).into_owned())
            .collect()
    }

    /// A kind without the stamp of a folder's file, which comes by itself some
    /// time after the file has changed.
    fn lasting(&self, kind: &EntryKind) -> EntryKind {
        let mut kind = kind.clone();
        if let (true, EntryKind::File { stamp, .. }) = (self.is_folder(), &mut kind) {
            *stamp = 0;
        }
        kind
    }
}

/// The source cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// The folder is not there, or is no folder.
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// An archive cannot be a source.
    #[error("{} {error}", path.display())]
    Archive {
        /// Which.
        path: PathBuf,
        /// Why.
        error: ArchiveError,
    },
    /// A path cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A name is no text.
    #[cfg_attr(unix, expect(dead_code, reason = "names are bytes here"))]
    #[error("the name of {} is not valid Unicode, which Linux needs", .0.display())]
    Name(PathBuf),
    /// A link names a place that only this system has.
    #[cfg_attr(unix, expect(dead_code, reason = "links are bytes here"))]
    #[error("the link {} leads out of the folder, to {}", link.display(), target.display())]
    LinkOutside {
        /// Where it is.
        link: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A rule of an ignore file cannot be used.
    #[error("{}:{line}: {reason}", file.display())]
    Rule {
        /// `.gitignore`, `.dockerignore` or `project.toml`.
        file: PathBuf,
        /// Of the file, or of the list in it.
        line: usize,
        /// Why.
        reason: BadRule,
    },
    /// An ignore file cannot be read.
    #[error(transparent)]
    Boundary(#[from] BoundaryError),
    /// The walk itself failed.
    #[error("cannot list the source")]
    Walk(#[from] ignore::Error),
    /// The folder is locald's own.
    #[error("{} is a folder of locald itself and cannot be a source", .0.display())]
    Own(PathBuf),
    /// The folder is hardly a project.
    #[error("{} is not a project: it contains your whole home folder", .0.display())]
    Home(PathBuf),
    /// Ignore files leave nothing.
    #[error("`.gitignore` files leave nothing of {}", .0.display())]
    NothingLeft(PathBuf),
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let hint = match &error {
            SourceError::Archive { error: wrong, .. } => match wrong.hint() {
                Some(hint) => hint,
                None => return Self::from_error(FailureKind::Source, &error),
            },
            SourceError::Name(_) => "rename it, or leave it out by .gitignore",
            SourceError::LinkOutside { .. } => {
                "make it a link within the folder, or leave it out by .gitignore"
            }
            SourceError::Rule { .. } => "correct or remove the line: it may name a secret",
            SourceError::Boundary(error) => error
                .hint()
                .unwrap_or("make it a readable file, or remove it: it may name a secret"),
            SourceError::Home(_) => "build a folder in it, or all of it with `locald build --yes`",
            SourceError::NothingLeft(_) => {
                "`--no-gitignore` builds all of it; `include` in its project.toml, or `--include PATTERN`, names a part"
            }
            _ => return Self::from_error(FailureKind::Source, &error),
        };
        Self::from_error(FailureKind::Source, &error).with_hint(hint)
    }
}
