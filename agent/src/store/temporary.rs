//! Makes temporary directories in the store, and removes those of killed
//! processes.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::removal::remove_tree;
use super::{Lock, StoreError};

/// The lock file in a temporary directory.
const OWNER: &str = ".owner";
/// Prefix of a tree that some process is removing.
const REMOVED: &str = "removed-";
/// Prefix of a temporary directory that is not locked yet.
const UNBORN: &str = ".new-";
/// After this time without a change, an unlocked entry counts as abandoned.
const ABANDONED: Duration = Duration::from_mins(10);

/// A directory in the store's `tmp/`, removed when dropped. Its owner holds a
/// lock while it is in use, so that locald can recognise the directory of a
/// killed process.
#[derive(Debug)]
pub struct Temporary {
    path: PathBuf,
    _lock: Lock,
}

impl Temporary {
    pub(super) fn new(root: &Path) -> Result<Self, StoreError> {
        let parent = root.join("tmp");
        // The directory gets its final name only after it is locked. So no
        // process treats it as one whose owner has died.
        let made = tempfile::Builder::new()
            .prefix(UNBORN)
            .tempdir_in(&parent)
            .map_err(|source| StoreError::io("make a directory in", &parent, source))?;
        let lock = Lock::exclusive(&made.path().join(OWNER))?;
        let name = made.path().file_name().unwrap_or_default();
        let name = name.to_string_lossy().replace(UNBORN, "");
        let path = parent.join(name);
        let unborn = made.keep();
        fs_err::rename(&unborn, &path)
            .map_err(|source| StoreError::io("rename", &unborn, source))?;
        Ok(Self { path, _lock: lock })
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = remove_at_once(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "temporary directory stays");
        }
    }
}

/// The path in `tmp/` to which a tree is renamed before its removal. This needs
/// no new directory, because the disk may be full.
pub(super) fn discarded(root: &Path, path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let own = std::process::id();
    root.join(format!("tmp/{REMOVED}{own}-{name}"))
}

/// Removes the directories of killed processes. Succeeds if the store cannot be
/// written, because it can still be read.
pub(super) fn sweep(parent: &Path) -> Result<(), StoreError> {
    let entries =
        fs_err::read_dir(parent).map_err(|source| StoreError::io("list", parent, source))?;
    for entry in entries.flatten() {
        if let Err(error) = sweep_entry(&entry) {
            tracing::debug!(%error, "what a killed process left stays");
        }
    }
    Ok(())
}

fn sweep_entry(entry: &fs_err::DirEntry) -> Result<(), StoreError> {
    let path = entry.path();
    let name = entry.file_name();
    let name = name.to_string_lossy();
    if name.starts_with(REMOVED) {
        // The first process may still be removing it, which does no harm.
        return remove_tree(&path);
    }
    let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
    if name.starts_with(UNBORN) || !is_directory {
        return if is_abandoned(entry) {
            remove_tree(&path)
        } else {
            Ok(())
        };
    }
    let owner = path.join(OWNER);
    if !owner.exists() {
        // A directory without its lock is the remainder of a removal.
        return remove_at_once(&path);
    }
    match Lock::try_exclusive(&owner)? {
        Some(_lock) => remove_at_once(&path),
        None => Ok(()),
    }
}

/// Renames a directory of `tmp/`, then removes it. If the process is killed in
/// between, the rest does not look like the directory of a living process.
fn remove_at_once(path: &Path) -> Result<(), StoreError> {
    let root = path.parent().and_then(Path::parent).unwrap_or(path);
    let moved = discarded(root, path);
    match fs_err::rename(path, &moved) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(StoreError::io("remove", path, source)),
        Ok(()) => remove_tree(&moved),
    }
}

fn is_abandoned(entry: &fs_err::DirEntry) -> bool {
    let changed = entry.metadata().and_then(|metadata| metadata.modified());
    let age = changed.ok().and_then(|changed| changed.elapsed().ok());
    age.is_some_and(|age| age > ABANDONED)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::time::SystemTime;

    use super::*;
    use crate::store::Store;

    #[test]
    fn what_nobody_uses_goes_and_the_rest_stays() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let alive = store.temporary().unwrap();
        let tmp = directory.path().join("tmp");
        let old = SystemTime::now() - 2 * ABANDONED;
        for name in ["without-owner", "removed-1-x", ".new-old", ".new-now"] {
            fs_err::create_dir_all(tmp.join(name).join("inner")).unwrap();
        }
        fs_err::create_dir(tmp.join("killed")).unwrap();
        fs_err::write(tmp.join("killed").join(OWNER), "").unwrap();
        for name in ["file-old", "file-now"] {
            fs_err::write(tmp.join(name), "").unwrap();
        }
        for name in [".new-old", "file-old"] {
            let file = fs_err::File::open(tmp.join(name)).unwrap();
            file.file().set_modified(old).unwrap();
        }
        Store::open(directory.path()).unwrap();
        let left = fs_err::read_dir(&tmp).unwrap();
        let left = left.map(|it| it.unwrap().file_name().into_string().unwrap());
        let mut left: Vec<_> = left.collect();
        left.sort();
        let own = alive.path().file_name().unwrap().to_str().unwrap();
        let mut expected = [".new-now", "file-now", own];
        expected.sort_unstable();
        assert_eq!(left, expected);
    }
}
