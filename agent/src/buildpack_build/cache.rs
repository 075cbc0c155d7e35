//! Keeps the build cache: the directory in which buildpacks keep files from one
//! build to the next. See docs/build-cache.md.
//!
//! Shells use the directory, too, for any length of time. So a build that
//! clears the cache does not wait for them. It moves the old directory aside,
//! and running shells continue to use it there. locald removes it when no shell
//! runs any more.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::store::{Lock, Store, StoreError};

const NAME: &str = "build-cache";
const ASIDE: &str = "build-cache-aside";
/// The lock that all shells of the project share.
const LOCK: &str = "build-cache.lock";

/// The build cache of a project.
#[derive(Debug)]
pub(crate) struct BuildCache<'a> {
    project: &'a Path,
}

impl<'a> BuildCache<'a> {
    /// The build cache in a project's directory.
    pub(crate) fn of(project: &'a Path) -> Self {
        Self { project }
    }

    /// The path of the current directory.
    pub(crate) fn path(&self) -> PathBuf {
        self.project.join(NAME)
    }

    /// Makes the directory if it is missing.
    pub(super) fn make(&self) -> std::io::Result<()> {
        fs_err::create_dir_all(self.path())
    }

    /// Prevents the removal of the directory while the lock is held.
    pub(crate) async fn in_use(&self) -> Result<Lock, StoreError> {
        Lock::shared_in_background(self.project.join(LOCK)).await
    }

    /// Moves the directory aside, so that the next build starts with an empty
    /// one.
    pub(super) fn clear(&self) -> Result<(), StoreError> {
        let path = self.path();
        let aside = self.project.join(ASIDE);
        let put_aside = || {
            if !path.exists() {
                return Ok(());
            }
            fs_err::create_dir_all(&aside)?;
            // A rename replaces an empty directory.
            let name = tempfile::tempdir_in(&aside)?.keep();
            fs_err::rename(&path, name)
        };
        put_aside().map_err(|source| StoreError::io("put aside", &path, source))
    }

    /// Removes the old directories, unless a shell may use one.
    pub(crate) fn sweep(&self, store: &Store) -> Result<(), StoreError> {
        let aside = self.project.join(ASIDE);
        if !aside.exists() {
            return Ok(());
        }
        let Some(alone) = Lock::try_exclusive(&self.project.join(LOCK))? else {
            return Ok(());
        };
        let removed = store.temporary()?;
        fs_err::rename(&aside, removed.path().join(NAME))
            .map_err(|source| StoreError::io("remove", &aside, source))?;
        // Release the lock first, so that no shell waits for the removal.
        drop(alone);
        drop(removed);
        Ok(())
    }

    /// Changes the owner of the whole directory, unless its root already has
    /// this owner. Then its files belong to the user, too, and a walk would be
    /// slow.
    pub(super) fn own(
        &self,
        owner: (u32, u32),
        own_tree: impl Fn(&Path, (u32, u32)) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let path = self.path();
        let metadata = fs_err::symlink_metadata(&path)?;
        if (metadata.uid(), metadata.gid()) == owner {
            return Ok(());
        }
        for entry in fs_err::read_dir(&path)? {
            own_tree(&entry?.path(), owner)?;
        }
        // The root comes last, so that the next build repeats an interrupted
        // change.
        std::os::unix::fs::lchown(path, Some(owner.0), Some(owner.1))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[tokio::test]
    async fn a_cleared_cache_stays_as_long_as_a_shell_has_it() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(&root.path().join("store")).unwrap();
        let project = root.path().join("project");
        let cache = BuildCache::of(&project);
        fs_err::create_dir_all(cache.path().join("of-a-shell")).unwrap();
        let shell = cache.in_use().await.unwrap();
        cache.clear().unwrap();
        cache.sweep(&store).unwrap();
        assert!(!cache.path().exists());
        let aside = || fs_err::read_dir(project.join(ASIDE)).map(Iterator::count);
        assert_eq!(aside().unwrap(), 1);
        cache.make().unwrap();
        cache.clear().unwrap();
        assert_eq!(aside().unwrap(), 2);
        drop(shell);
        cache.sweep(&store).unwrap();
        assert!(!project.join(ASIDE).exists());
    }
}
