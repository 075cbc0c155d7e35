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

/// A source tree of a request.
#[derive(Debug)]
pub(crate) struct SourceTree {
    /// The path of the folder or archive. For a tree in memory, the path of the
    /// file that defines it.
    pub(crate) root: PathBuf,
    /// The listed paths, parents before children.
    pub(crate) entries: Vec<Entry>,
    /// The listed folders, the root first.
    pub(crate) folders: Vec<PathBuf>,
    /// Paths that are not a file, a directory or a link: sockets, FIFOs,
    /// devices. They are not part of the tree.
    pub(crate) skipped: Vec<String>,
    /// The origin of the files' bytes.
    content: Content,
}

/// The origin of the bytes of a tree's files.
#[derive(Debug)]
enum Content {
    /// The files of the folder.
    Folder,
    /// Memory, by the index of the entry.
    Memory(Vec<Vec<u8>>),
    /// An archive.
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

    /// Makes the tree of a folder with these entries.
    #[cfg(test)]
    pub(crate) fn of(root: &Path, entries: Vec<Entry>) -> Self {
        Self {
            entries,
            ..Self::new(root)
        }
    }

    /// Whether the tree is a folder, whose files can change.
    pub(crate) const fn is_folder(&self) -> bool {
        matches!(self.content, Content::Folder)
    }

    /// Returns the paths that differ from an earlier listing.
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
        // Leave out folders if files have changed: they change with their
        // files.
        let told = if files.is_empty() { folders } else { files };
        told.iter()
            .map(|(path, _)| String::from_utf8_lossy(path).into_owned())
            .collect()
    }

    /// Returns the kind without the stamp of a folder's file: the stamp appears
    /// some time after the change.
    fn lasting(&self, kind: &EntryKind) -> EntryKind {
        let mut kind = kind.clone();
        if let (true, EntryKind::File { stamp, .. }) = (self.is_folder(), &mut kind) {
            *stamp = 0;
        }
        kind
    }
}

/// Why a source cannot be listed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// The path does not exist, or is not a folder.
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// The archive cannot be a source.
    #[error("{} {error}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// The reason.
        error: ArchiveError,
    },
    /// A path cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// The reason.
        #[source]
        source: std::io::Error,
    },
    /// A name is not valid Unicode, on Windows.
    #[cfg_attr(unix, expect(dead_code, reason = "names are bytes here"))]
    #[error("the name of {} is not valid Unicode, which Linux needs", .0.display())]
    Name(PathBuf),
    /// A link leads out of the folder to a place of this system, on Windows.
    #[cfg_attr(unix, expect(dead_code, reason = "links are bytes here"))]
    #[error("the link {} leads out of the folder, to {}", link.display(), target.display())]
    LinkOutside {
        /// The path of the link.
        link: PathBuf,
        /// The target of the link.
        target: PathBuf,
    },
    /// A rule of an ignore file is not valid.
    #[error("{}:{line}: {reason}", file.display())]
    Rule {
        /// `.gitignore`, `.dockerignore` or `project.toml`.
        file: PathBuf,
        /// The line in the file, or in the list of `project.toml`. The first is
        /// 1.
        line: usize,
        /// The reason.
        reason: BadRule,
    },
    /// An ignore file cannot be read, or is outside the boundary.
    #[error(transparent)]
    Boundary(#[from] BoundaryError),
    /// The walk failed.
    #[error("cannot list the source")]
    Walk(#[from] ignore::Error),
    /// The folder belongs to locald itself.
    #[error("{} is a folder of locald itself and cannot be a source", .0.display())]
    Own(PathBuf),
    /// The folder contains the user's whole home.
    #[error("{} is not a project: it contains your whole home folder", .0.display())]
    Home(PathBuf),
    /// Ignore files exclude all files.
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
