//! Walks through a folder and lists its source.

use std::fs::FileType;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::source::{Entry, EntryKind};

use super::ignored::{GitIgnores, Matched, Verdict};
use super::{Rules, SourceError, SourceTree, files};
use crate::project::Boundary;

/// A file may change again within this time without a new modification time
/// (nanoseconds). Such a file has no stamp. git calls it "racily clean".
const RACY: i64 = 2_000_000_000;

/// What a listing includes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) rules: &'a Rules,
    /// The folders in which linked ignore files may be.
    pub(crate) boundary: &'a Boundary,
    /// Whether `.gitignore` files above the folder apply.
    pub(crate) parents: Parents,
    /// Folders of locald itself. They are not part of a source.
    pub(crate) own: &'a [PathBuf],
}

/// Whether the repository around a folder matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parents {
    Count,
    Ignored,
}

/// Lists the source of a folder, parents first.
///
/// `.gitignore` files apply even without a repository. The user's global git
/// configuration does not apply, because it is not part of the project.
pub(crate) fn walk(root: &Path, scope: Scope) -> Result<SourceTree, SourceError> {
    if !root.is_dir() {
        return Err(SourceError::NotAFolder(root.to_owned()));
    }
    let mut tree = SourceTree::new(root);
    let is_foreign = |path: &Path| {
        path.file_name().is_some_and(|name| name == ".git")
            || scope.own.iter().any(|own| own == path)
    };
    let walk = Walk {
        scope: Some(scope),
        skips: &is_foreign,
        on_error: &|_, error| Err(error),
    };
    let left_out = walk.run(root, &mut tree)?;
    if tree.entries.is_empty() && left_out == ByGit::Something {
        return Err(SourceError::NothingLeft(root.to_owned()));
    }
    let now = nanoseconds(SystemTime::now());
    tree.entries.iter_mut().for_each(|it| forget_racy(it, now));
    Ok(tree)
}

/// A walk through a folder.
pub(super) struct Walk<'a> {
    /// The rules. Absent means that all files are listed.
    pub(super) scope: Option<Scope<'a>>,
    /// Whether to skip a path with everything in it.
    pub(super) skips: &'a dyn Fn(&Path) -> bool,
    /// Handles the error of an unreadable path.
    pub(super) on_error: &'a dyn Fn(&mut SourceTree, SourceError) -> Result<(), SourceError>,
}

/// Whether a `.gitignore` has excluded something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByGit {
    Nothing,
    Something,
}

/// A path to visit.
struct Found {
    path: PathBuf,
    /// The path below the tree's root, as the protocol encodes it.
    name: Vec<u8>,
    verdict: Verdict,
    ignores: GitIgnores,
    matched: Matched,
}

impl Walk<'_> {
    /// Adds all paths below the root to the tree. Ignores files that disappear
    /// meanwhile.
    pub(super) fn run(&self, root: &Path, tree: &mut SourceTree) -> Result<ByGit, SourceError> {
        let (ignores, way) = match self.scope {
            Some(scope) if scope.parents == Parents::Count && scope.rules.heeds_git() => {
                GitIgnores::above(root, scope.boundary)?
            }
            _ => (GitIgnores::default(), Vec::new()),
        };
        let base = files::name(root.strip_prefix(&tree.root).unwrap_or(Path::new("")))?;
        let start = Found {
            path: root.to_owned(),
            name: base,
            verdict: Verdict::Kept,
            ignores,
            matched: Matched::default(),
        };
        let first = tree.entries.len();
        let mut by_git = ByGit::Nothing;
        let mut searched = Vec::new();
        let mut waiting = Vec::new();
        self.enter(&start, &way, &mut waiting, &mut by_git, tree)?;
        while let Some(found) = waiting.pop() {
            let kind = match kind_at(&tree.root, &found.path) {
                Ok(Some(kind)) => kind,
                Ok(None) => {
                    tree.skipped
                        .push(String::from_utf8_lossy(&found.name).into_owned());
                    continue;
                }
                Err(SourceError::Read { source, .. }) if is_gone(&source) => continue,
                Err(error) => {
                    (self.on_error)(tree, error)?;
                    continue;
                }
            };
            let is_directory = matches!(kind, EntryKind::Directory { .. });
            if found.verdict == Verdict::Searched {
                searched.push(tree.entries.len());
            }
            let path = found.name.clone();
            tree.entries.push(Entry { path, kind });
            if is_directory {
                tree.folders.push(found.path.clone());
                self.enter(&found, &way, &mut waiting, &mut by_git, tree)?;
            }
        }
        drop_empty(&mut tree.entries, first, &searched);
        Ok(by_git)
    }

    /// Adds the paths of a directory, so that the walk visits them next.
    fn enter(
        &self,
        directory: &Found,
        way: &[u8],
        waiting: &mut Vec<Found>,
        by_git: &mut ByGit,
        tree: &mut SourceTree,
    ) -> Result<(), SourceError> {
        let mut names = match names(&directory.path) {
            Ok(names) => names,
            Err(SourceError::Read { source, .. }) if is_gone(&source) => return Ok(()),
            Err(error) => return (self.on_error)(tree, error),
        };
        // The walk takes the last one first.
        names.sort_unstable_by(|(one, ..), (other, ..)| other.cmp(one));
        let heeds_git = self.scope.filter(|scope| scope.rules.heeds_git());
        let base = way.len() + directory.name.len() + usize::from(!directory.name.is_empty());
        let ignores = match heeds_git {
            Some(scope) => directory
                .ignores
                .enter(&directory.path, base, scope.boundary)?,
            None => GitIgnores::default(),
        };
        for (name, path, kind) in names {
            if (self.skips)(&path) {
                continue;
            }
            let name = match &directory.name[..] {
                [] => name,
                parent => [parent, &name].join(&b'/'),
            };
            let is_directory = kind.is_dir();
            if ignores.leave_out(&[way, &name].concat(), is_directory) {
                *by_git = ByGit::Something;
                continue;
            }
            let (verdict, matched) = match self.scope {
                Some(scope) => scope.rules.judge(&name, is_directory, &directory.matched),
                None => (Verdict::Kept, Matched::default()),
            };
            if verdict != Verdict::LeftOut {
                waiting.push(Found {
                    path,
                    name,
                    verdict,
                    ignores: ignores.clone(),
                    matched,
                });
            }
        }
        Ok(())
    }
}

/// Returns the names in a directory, as the protocol encodes them, with paths
/// and types.
fn names(directory: &Path) -> Result<Vec<(Vec<u8>, PathBuf, FileType)>, SourceError> {
    let failed = |source| read_error(directory, source);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = match entry.file_type() {
            Err(error) if is_gone(&error) => continue,
            kind => kind.map_err(failed)?,
        };
        let name = entry.file_name();
        names.push((files::name(Path::new(&name))?, entry.path(), kind));
    }
    Ok(names)
}

/// Removes searched directories without a kept file. `searched` has their
/// indices. The entries of a directory must follow it directly. Returns which
/// entries are kept; empty means all.
pub(super) fn drop_empty(entries: &mut Vec<Entry>, first: usize, searched: &[usize]) -> Vec<bool> {
    if searched.is_empty() {
        return Vec::new();
    }
    let mut searched = searched.iter().rev().copied().peekable();
    let mut next: Vec<u8> = Vec::new();
    let mut kept = vec![true; entries.len()];
    for number in (first..entries.len()).rev() {
        let path = &entries[number].path;
        let is_needed = next
            .strip_prefix(&path[..])
            .is_some_and(|rest| rest.starts_with(b"/"));
        if searched.next_if_eq(&number).is_some() && !is_needed {
            kept[number] = false;
        } else {
            next.clone_from(path);
        }
    }
    let mut numbers = kept.iter();
    entries.retain(|_| numbers.next().copied().unwrap_or(true));
    kept
}

pub(super) fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

/// Returns the kind of a path. Returns `None` if it cannot be part of a tree.
/// The stamp may be racy, see [`is_racy`].
pub(super) fn kind_at(root: &Path, path: &Path) -> Result<Option<EntryKind>, SourceError> {
    let metadata = fs_err::symlink_metadata(path).map_err(|source| read_error(path, source))?;
    let file_type = metadata.file_type();
    if file_type.is_dir() {
        let mode = files::mode(&metadata);
        return Ok(Some(EntryKind::Directory { mode }));
    }
    if file_type.is_symlink() {
        let target = fs_err::read_link(path).map_err(|source| read_error(path, source))?;
        let target = files::target(root, path, &target)?;
        return Ok(Some(EntryKind::Symlink { target }));
    }
    if !is_file(file_type) {
        return Ok(None);
    }
    Ok(Some(EntryKind::File {
        size: metadata.len(),
        mode: files::mode(&metadata),
        modified: metadata.modified().map_or(0, nanoseconds),
        stamp: files::stamp(&metadata),
    }))
}

/// Whether a file may change again without a new modification time.
pub(crate) fn is_racy(kind: &EntryKind, now: SystemTime) -> bool {
    let now = nanoseconds(now);
    matches!(kind, EntryKind::File { modified, .. } if now.saturating_sub(*modified) < RACY)
}

fn forget_racy(entry: &mut Entry, now: i64) {
    if let EntryKind::File {
        modified, stamp, ..
    } = &mut entry.kind
        && now.saturating_sub(*modified) < RACY
    {
        *stamp = 0;
    }
}

fn is_file(kind: FileType) -> bool {
    kind.is_file()
}

fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}

fn read_error(path: &Path, source: std::io::Error) -> SourceError {
    SourceError::Read {
        path: path.to_owned(),
        source,
    }
}

#[cfg(all(test, unix))]
mod tests;
