//! Lists a source tree.

use std::collections::HashSet;
use std::fs::FileType;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use ignore::{DirEntry, WalkBuilder};
use protocol::source::{Entry, EntryKind};

use super::{Rules, SourceError, SourceTree, files};

/// A file that was changed this recently may be changed again without a
/// visible trace, as git knows it ("racily clean"): it has no stamp.
const RACY: i64 = 2_000_000_000;

/// Lists what belongs to the source of a folder, parents first.
///
/// `.gitignore` files count also where there is no repository; the user's
/// global git configuration does not, since it is not part of the project.
pub(crate) fn walk(root: &Path, rules: Rules) -> Result<SourceTree, SourceError> {
    if !root.is_dir() {
        return Err(SourceError::NotAFolder(root.to_owned()));
    }
    let prune = rules.prunes_directories();
    let mut tree = SourceTree::new(root);
    let mut walk = git_walk(root);
    walk.filter_entry(move |entry| {
        let is_directory = entry.file_type().is_some_and(|kind| kind.is_dir());
        !is_repository(entry) && !rules.leaves_out(entry.path(), is_directory)
    });
    collect(&walk, &mut tree, |_, error| Err(error))?;
    let now = nanoseconds(SystemTime::now());
    tree.entries.iter_mut().for_each(|it| forget_racy(it, now));
    if prune {
        prune_directories(&mut tree.entries);
    }
    tree.entries.sort_unstable_by(|one, other| {
        let components = |entry: &Entry| {
            let parts = entry.path.split(|byte| *byte == b'/');
            parts.map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        components(one).cmp(&components(other))
    });
    Ok(tree)
}

pub(super) fn git_walk(root: &Path) -> WalkBuilder {
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

pub(super) fn is_repository(entry: &DirEntry) -> bool {
    entry.depth() == 1 && entry.file_name() == ".git"
}

/// Adds all that is found; what vanishes meanwhile is not there.
pub(super) fn collect(
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

pub(super) fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}

/// What is at a path of the folder; absent for what does not travel. A stamp is
/// that of the moment, see [`is_racy`].
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

/// Whether a file may change again without a visible trace.
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

fn is_directory(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::Directory { .. })
}

/// Leaves out directories in which nothing is left.
fn prune_directories(entries: &mut Vec<Entry>) {
    let mut needed = HashSet::new();
    for entry in entries.iter().filter(|entry| !is_directory(entry)) {
        for (index, byte) in entry.path.iter().enumerate() {
            if *byte == b'/' {
                needed.insert(entry.path[..index].to_vec());
            }
        }
    }
    entries.retain(|entry| !is_directory(entry) || needed.contains(&entry.path));
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
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn names(tree: &SourceTree) -> Vec<String> {
        let name = |entry: &Entry| String::from_utf8_lossy(&entry.path).into_owned();
        tree.entries.iter().map(name).collect()
    }

    fn list(root: &Path, include: &[String]) -> SourceTree {
        walk(root, Rules::new(root, include, &[]).unwrap()).unwrap()
    }

    #[test]
    fn ignored_files_and_the_repository_stay_at_home() {
        let root = tempfile::tempdir().unwrap();
        for file in [
            ".git/config",
            "src/a.py",
            "src-x",
            "target/x",
            ".env",
            "sub/y.log",
        ] {
            let path = root.path().join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "").unwrap();
        }
        fs_err::write(root.path().join(".gitignore"), "/target\n").unwrap();
        fs_err::write(root.path().join("sub/.gitignore"), "*.log\n").unwrap();
        let expected = [
            ".env",
            ".gitignore",
            "src",
            "src/a.py",
            "src-x",
            "sub",
            "sub/.gitignore",
        ];
        assert_eq!(names(&list(root.path(), &[])), expected);
        let only = list(root.path(), &["*.py".to_owned()]);
        assert_eq!(names(&only), ["src", "src/a.py"]);
    }

    #[test]
    fn links_stay_links_and_sockets_are_named() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("..", root.path().join("loop")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("s")).unwrap();
        let tree = list(root.path(), &[]);
        let target = b"..".to_vec();
        assert_eq!(tree.entries[0].kind, EntryKind::Symlink { target });
        assert_eq!(tree.skipped, ["s"]);
    }

    #[test]
    fn a_file_that_has_just_changed_has_no_stamp() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a");
        fs_err::write(&path, "x").unwrap();
        let stamp = |tree: &SourceTree| match tree.entries[0].kind {
            EntryKind::File { stamp, .. } => stamp,
            _ => panic!("no file"),
        };
        assert_eq!(stamp(&list(root.path(), &[])), 0);
        let file = fs_err::File::options().write(true).open(&path).unwrap();
        let old = SystemTime::now() - std::time::Duration::from_mins(1);
        file.file().set_modified(old).unwrap();
        assert_ne!(stamp(&list(root.path(), &[])), 0);
    }
}
