//! Removes blobs and layers that no reference needs.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use protocol::event::Usage;

use super::needs::Content;
use super::temporary::discarded;
use super::{Lock, Store, StoreError, remove_tree};
use crate::crash::{self, Point};
use crate::images::digest::{DiffId, Digest};
use crate::kernel::walk::{Step, Walk, is_directory};

/// The unit of `st_blocks`: stat(3type).
const BLOCK: u64 = 512;

/// The free and the total space of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Free bytes.
    pub free: u64,
    /// Total bytes.
    pub all: u64,
    /// Free inodes.
    pub free_files: u64,
    /// Total inodes; zero if the file system has no limit.
    pub all_files: u64,
}

impl Space {
    /// Whether the file system runs out of inodes before it runs out of bytes.
    pub fn files_are_scarcer(&self) -> bool {
        let product = |left: u64, all: u64| u128::from(left) * u128::from(all);
        self.all_files > 0
            && product(self.free_files, self.all) < product(self.free, self.all_files)
    }
}

impl Store {
    /// Removes the content that no reference needs. Returns the number of bytes
    /// freed. Returns nothing if another request uses the store, because the
    /// store may then hold content that no reference names yet.
    pub fn collect_garbage(&self) -> Result<Option<u64>, StoreError> {
        let Some(_lock) = self.try_alone()? else {
            return Ok(None);
        };
        self.sweep().map(Some)
    }

    /// Removes the content that no reference needs. Returns the number of bytes
    /// freed. Fails, and removes nothing, if locald cannot determine which
    /// content a reference needs. The caller must hold the lock of
    /// [`alone`](Self::alone).
    pub fn sweep(&self) -> Result<u64, StoreError> {
        let (mut blobs, mut layers) = (HashSet::new(), HashSet::new());
        for content in self.needs_of_all()? {
            match content {
                Content::Blob(digest) => blobs.insert(digest.hex()),
                Content::Layer(diff_id) => layers.insert(diff_id.0.hex()),
            };
        }
        self.sweep_layer_locks()?;
        let freed = self.sweep_directory("blobs/sha256", &blobs)?;
        let freed = freed + self.sweep_directory("layers", &layers)?;
        Ok(freed + self.sweep_directory("trees", &layers)?)
    }

    /// Removes the locks of layers. The caller holds the store exclusively, so
    /// no process extracts a layer or waits for one.
    fn sweep_layer_locks(&self) -> Result<(), StoreError> {
        let directory = self.root().join("locks");
        let entries = fs_err::read_dir(&directory)
            .map_err(|source| StoreError::io("list", &directory, source))?;
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with("layer-")
                && let Some(lock) = Lock::try_exclusive(&entry.path())?
            {
                lock.remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Removes everything, or everything except the images. Returns false, and
    /// removes nothing, if another request uses the store.
    pub fn clear(&self, keep_images: bool) -> Result<bool, StoreError> {
        let Some(_lock) = self.try_alone()? else {
            return Ok(false);
        };
        let none = HashSet::new();
        self.sweep_directory("projects", &none)?;
        if !keep_images {
            self.forget_images()?;
            self.sweep_directory("blobs/sha256", &none)?;
            self.sweep_directory("layers", &none)?;
            self.sweep_directory("trees", &none)?;
        }
        Ok(true)
    }

    /// Removes all entries that are not in `keep`. Returns the number of bytes
    /// freed.
    fn sweep_directory(&self, name: &str, keep: &HashSet<String>) -> Result<u64, StoreError> {
        let directory = self.root().join(name);
        let entries = fs_err::read_dir(&directory)
            .map_err(|source| StoreError::io("list", &directory, source))?;
        let mut freed = 0;
        for entry in entries.flatten() {
            if keep.contains(&*entry.file_name().to_string_lossy()) {
                continue;
            }
            let path = entry.path();
            freed += disk_usage(&path);
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.remove_whole(&path)?;
            } else {
                fs_err::remove_file(&path)
                    .map_err(|source| StoreError::io("remove", &path, source))?;
            }
            crash::at(Point::Swept);
        }
        Ok(freed)
    }

    /// Removes a tree from its place in the store in one step. After a crash,
    /// locald would use a partly removed tree as if it were complete.
    pub(super) fn remove_whole(&self, path: &Path) -> Result<(), StoreError> {
        let moved = discarded(self.root(), path);
        match fs_err::rename(path, &moved) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed.map_err(|source| StoreError::io("remove", path, source))?,
        }
        crash::at(Point::RemovalBegun);
        remove_tree(&moved)
    }

    /// The bytes that each part of the store occupies.
    pub fn usage_by_part(&self) -> Usage {
        let part = |path: &str| disk_usage(&self.root().join(path));
        Usage {
            blobs: part("blobs"),
            layers: part("layers"),
            projects: part("projects"),
        }
    }

    /// The bytes that the store occupies on its file system.
    pub fn usage(&self) -> u64 {
        disk_usage(self.root())
    }

    /// The free and the total space of the store's file system.
    pub fn space(&self) -> Result<Space, StoreError> {
        let found = rustix::fs::statvfs(self.root());
        let found = found.map_err(|errno| StoreError::io("examine", self.root(), errno.into()))?;
        Ok(Space {
            free: found.f_bavail.saturating_mul(found.f_frsize),
            all: found.f_blocks.saturating_mul(found.f_frsize),
            free_files: found.f_favail,
            all_files: found.f_files,
        })
    }

    /// All blobs, each with the bytes that it occupies.
    pub fn blobs(&self) -> Result<Vec<(Digest, u64)>, StoreError> {
        by_digest(&self.root().join("blobs/sha256"))
    }

    /// All extracted layers, each with the bytes that it occupies.
    pub fn layers(&self) -> Result<Vec<(DiffId, u64)>, StoreError> {
        let layers = by_digest(&self.root().join("layers"))?.into_iter();
        Ok(layers
            .map(|(digest, size)| (DiffId(digest), size))
            .collect())
    }
}

/// The entries of a directory whose name is a digest. Skips all others.
fn by_digest(directory: &Path) -> Result<Vec<(Digest, u64)>, StoreError> {
    let entries =
        fs_err::read_dir(directory).map_err(|source| StoreError::io("list", directory, source))?;
    let named = entries.flatten().filter_map(|entry| {
        let name = entry.file_name();
        let digest = format!("sha256:{}", name.to_str()?).parse().ok()?;
        Some((digest, disk_usage(&entry.path())))
    });
    Ok(named.collect())
}

/// The bytes that a tree occupies on its file system. Skips files that cannot
/// be read.
pub fn disk_usage(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = fs_err::symlink_metadata(path) else {
        return 0;
    };
    let mut bytes = metadata.blocks() * BLOCK;
    let walk = metadata.is_dir().then(|| Walk::of(path));
    let Some(Ok(mut walk)) = walk else {
        return bytes;
    };
    while let Ok(Some(step)) = walk.next() {
        if let Step::Entry(entry) = step
            && let Ok(stat) = entry.stat(&walk)
        {
            bytes += stat.st_blocks.cast_unsigned() * BLOCK;
            if is_directory(&stat) {
                let _ = walk.enter(&entry);
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step fails the test")]
    use super::*;
    use crate::store::UseKind;

    #[tokio::test]
    async fn nothing_goes_while_the_store_is_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        let on_wait = async || Ok::<_, StoreError>(());
        let use_lock = store.in_use(UseKind::Work, on_wait).await.unwrap();
        let digest = store.write_blob(b"without a name yet").unwrap();
        assert_eq!(store.collect_garbage().unwrap(), None);
        assert!(store.has_blob(&digest));
        drop(use_lock);
        assert!(store.collect_garbage().unwrap().is_some());
        assert!(!store.has_blob(&digest));
    }
}
