//! Lists a folder for a live shell: all files that git does not ignore, and the
//! repository itself.

use std::path::Path;

use ignore::{DirEntry, WalkBuilder};
use protocol::folder::is_in_flux;
use protocol::source::{Entry, EntryKind};

use super::walk::{is_gone, kind_at};
use super::{SourceError, SourceTree, files};

/// Lists a folder for a live shell: the files that git does not ignore, and the
/// repository itself. Skips unreadable paths, and records the reasons. Stamps
/// may be racy, see [`is_racy`].
///
/// [`is_racy`]: super::is_racy
pub(crate) fn walk_live(root: &Path) -> Result<SourceTree, SourceError> {
    if !root.is_dir() {
        return Err(SourceError::NotAFolder(root.to_owned()));
    }
    let mut tree = SourceTree::new(root);
    let skip = |tree: &mut SourceTree, error: SourceError| {
        let failure = protocol::Failure::from(error);
        let reason = [vec![failure.message], failure.causes].concat().join(": ");
        tree.skipped.push(reason);
        Ok(())
    };
    let mut walk = git_walk(root);
    walk.filter_entry(|entry| !is_repository(entry) && !is_part(entry));
    collect(&walk, &mut tree, skip)?;
    let repository = root.join(".git");
    if let Some(kind) = look(root, &repository)? {
        let is_directory = matches!(kind, EntryKind::Directory { .. });
        let path = b".git".to_vec();
        tree.entries.push(Entry { path, kind });
        if is_directory {
            tree.folders.push(repository.clone());
        }
        // A walk follows a link at its start. So start at a directory only.
        if is_directory {
            let mut walk = WalkBuilder::new(repository);
            walk.standard_filters(false)
                .follow_links(false)
                .filter_entry(|entry| entry.depth() == 0 || !stays(entry));
            collect(&walk, &mut tree, skip)?;
        }
    }
    Ok(tree)
}

/// The prefix of an incomplete file's name.
pub(crate) const PART: &str = ".locald-part-";

/// Returns the present kind of a path. Returns `None` if it does not exist.
pub(crate) fn look(root: &Path, path: &Path) -> Result<Option<EntryKind>, SourceError> {
    match kind_at(root, path) {
        Err(SourceError::Read { source, .. }) if is_gone(&source) => Ok(None),
        looked => looked,
    }
}

/// Returns a walk with the same rules as the agent's side of a live folder.
fn git_walk(root: &Path) -> WalkBuilder {
    let mut walk = WalkBuilder::new(root);
    walk.hidden(false)
        .parents(false)
        .ignore(false)
        .git_global(false)
        .git_exclude(true)
        .require_git(false)
        .follow_links(false)
        .ignore_case_insensitive(files::IGNORES_CASE);
    walk
}

fn is_repository(entry: &DirEntry) -> bool {
    entry.depth() == 1 && entry.file_name() == ".git"
}

/// Adds all found paths. Ignores files that disappear meanwhile.
fn collect(
    walk: &WalkBuilder,
    tree: &mut SourceTree,
    on_error: impl Fn(&mut SourceTree, SourceError) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let root = tree.root.clone();
    for found in walk.build() {
        let found = match found {
            Ok(found) => found,
            Err(error) if error.io_error().is_some_and(is_gone) => continue,
            Err(error) => {
                on_error(tree, error.into())?;
                continue;
            }
        };
        let path = found.path();
        let relative = path.strip_prefix(&root).unwrap_or(path);
        if found.depth() == 0 {
            continue;
        }
        let named = kind_at(&root, path).and_then(|kind| Ok((kind, files::name(relative)?)));
        if matches!(named, Ok((Some(EntryKind::Directory { .. }), _))) {
            tree.folders.push(path.to_owned());
        }
        match named {
            Ok((Some(kind), path)) => tree.entries.push(Entry { path, kind }),
            Ok((None, _)) => tree.skipped.push(relative.display().to_string()),
            Err(SourceError::Read { source, .. }) if is_gone(&source) => {}
            Err(error) => on_error(tree, error)?,
        }
    }
    Ok(())
}

fn is_part(entry: &DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with(PART)
}

/// Whether a path of a repository is left out.
fn stays(entry: &DirEntry) -> bool {
    is_part(entry) || is_in_flux(entry.file_name().as_encoded_bytes())
}

#[cfg(all(test, unix))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn the_repository_travels_and_what_is_ignored_does_not() {
        let root = tempfile::tempdir().unwrap();
        for file in [
            ".dockerignore",
            ".git/config",
            ".git/index.lock",
            ".git/objects/tmp_obj_x",
            "src/.locald-part-x",
            "src/a",
            "target/x",
        ] {
            let path = root.path().join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "src").unwrap();
        }
        fs_err::write(root.path().join(".gitignore"), "target\n.git*\n").unwrap();
        let tree = walk_live(root.path()).unwrap();
        let name = |entry: &Entry| String::from_utf8_lossy(&entry.path).into_owned();
        let mut names: Vec<_> = tree.entries.iter().map(name).collect();
        names.sort();
        let expected = [
            ".dockerignore",
            ".git",
            ".git/config",
            ".git/objects",
            "src",
            "src/a",
        ];
        assert_eq!(names, expected);
    }
}
