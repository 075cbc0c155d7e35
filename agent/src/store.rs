//! Everything that locald keeps: a valid OCI image layout, extracted layers,
//! and a directory for each project.
//!
//! ```text
//! oci-layout, index.json, blobs/sha256/HEX   OCI image layout
//! layers/HEX/                                a layer's tree, by its diffID
//! trees/HEX                                  what that tree was when it was made, and
//!                                            which directories are not listed
//! projects/ID/                               source, caches, last build
//! locks/, tmp/
//! ```
//!
//! Many processes may use one store. What becomes visible is written to
//! `tmp/`, verified, synced and renamed. Locks are `flock`s on files in
//! `locks/`, which end with their holder:
//!
//! - `index.lock`, exclusive, while `index.json` is rewritten;
//! - `use.lock`, shared by every request that makes or uses blobs and layers,
//!   exclusive while garbage is collected;
//! - `layer-HEX.lock`, exclusive, while a layer is extracted;
//! - `project-ID.lock`, exclusive, during a build.

mod blob;
mod error;
mod garbage;
mod image;
mod index;
mod layers;
mod lock;
mod project;
mod tree;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::crash::{self, Point};

pub use blob::{BlobReader, BlobWriter};
pub use error::StoreError;
pub use garbage::{Space, disk_usage};
pub(crate) use image::or_default;
pub use image::{Descriptor, Image, ImageConfig, Manifest, RuntimeConfig};
pub use index::{StoredImage, seconds_since_epoch};
pub use lock::Lock;
pub use project::{MalformedProjectId, ProjectDir, ProjectId};
pub use tree::TreeState;

/// The most bytes that a manifest or a configuration may have.
pub const DOCUMENT_CAP: u64 = 4 * 1024 * 1024;

/// A store; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    /// Temporary files of this process, when there are any: what only reads or
    /// removes works on a full file system.
    scratch: OnceLock<Temporary>,
}

impl Store {
    /// Opens the store in a directory, which is made when it is missing.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        error::create_private(root)?;
        for directory in [
            "blobs/sha256",
            "layers",
            "trees",
            "projects",
            "locks",
            "tmp",
        ] {
            error::create_dir_all(&root.join(directory))?;
        }
        sweep_temporary(&root.join("tmp"))?;
        let inner = Inner {
            root: root.to_owned(),
            scratch: OnceLock::new(),
        };
        let store = Self {
            inner: Arc::new(inner),
        };
        let layout = root.join("oci-layout");
        if !layout.exists() {
            store.write_atomically(&layout, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        }
        Ok(store)
    }

    /// Where the store is.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// A new directory for the temporary files of a request.
    pub fn temporary(&self) -> Result<Temporary, StoreError> {
        Temporary::new(self.root())
    }

    /// Keeps garbage from being collected while a request makes or uses blobs
    /// and layers.
    pub async fn in_use(&self) -> Result<Lock, StoreError> {
        Lock::shared_in_background(self.lock_path("use.lock")).await
    }

    /// Makes everything written so far survive a power cut.
    pub fn sync(&self) -> Result<(), StoreError> {
        let root = fs_err::File::open(self.root())
            .map_err(|source| StoreError::io("open", self.root(), source))?;
        rustix::fs::syncfs(root.file())
            .map_err(|errno| StoreError::io("sync", self.root(), errno.into()))
    }

    fn lock_path(&self, name: &str) -> PathBuf {
        self.root().join("locks").join(name)
    }

    fn scratch(&self) -> Result<&Path, StoreError> {
        if let Some(made) = self.inner.scratch.get() {
            return Ok(made.path());
        }
        let made = self.temporary()?;
        Ok(self.inner.scratch.get_or_init(|| made).path())
    }

    /// Replaces a file by new content, in one step that survives a power cut.
    fn write_atomically(&self, path: &Path, content: &[u8]) -> Result<(), StoreError> {
        let scratch = self.scratch()?;
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(scratch)?;
            io::Write::write_all(&mut file, content)?;
            crash::at(Point::IndexWritten);
            file.as_file().sync_all()?;
            file.persist(path)?;
            error::sync_parent(path)
        };
        write().map_err(|source| StoreError::io("write", path, source))
    }
}

/// A directory in the store's `tmp/`, gone when dropped. While it is in use
/// its owner holds a lock, so that what a killed process left can be told.
#[derive(Debug)]
pub struct Temporary {
    path: PathBuf,
    _lock: Lock,
}

impl Temporary {
    fn new(root: &Path) -> Result<Self, StoreError> {
        let parent = root.join("tmp");
        // The directory gets its final name only when it is locked: nobody
        // can take it for one whose owner is dead.
        let made = tempfile::Builder::new()
            .prefix(UNBORN)
            .tempdir_in(&parent)
            .map_err(|source| StoreError::io("make a directory in", &parent, source))?;
        let lock = Lock::exclusive(&made.path().join(lock::OWNER))?;
        let name = made.path().file_name().unwrap_or_default();
        let name = name.to_string_lossy().replace(UNBORN, "");
        let path = parent.join(name);
        let unborn = made.keep();
        fs_err::rename(&unborn, &path)
            .map_err(|source| StoreError::io("rename", &unborn, source))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "temporary directory stays");
        }
    }
}

/// Prefix of a tree that is being removed, by whomever.
const REMOVED: &str = "removed-";
/// Prefix of a temporary directory that is not locked yet.
const UNBORN: &str = ".new-";

/// Removes what a killed process left.
fn sweep_temporary(parent: &Path) -> Result<(), StoreError> {
    let entries =
        fs_err::read_dir(parent).map_err(|source| StoreError::io("list", parent, source))?;
    for entry in entries.flatten() {
        let owner = entry.path().join(lock::OWNER);
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let unborn = name.starts_with(UNBORN);
        if name.starts_with(REMOVED) {
            // Whoever began may be at it still: the two do not harm each other.
            let _ = remove_tree(&entry.path());
            continue;
        }
        if unborn || !owner.exists() {
            continue;
        }
        let swept = match Lock::try_exclusive(&owner) {
            Ok(Some(_lock)) => remove_tree(&entry.path()),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        // Its owner may have just removed it, and a store that cannot be written
        // can still be read.
        if let Err(error) = swept {
            tracing::debug!(%error, "what a killed process left stays");
        }
    }
    Ok(())
}

/// Removes a file that may not be there.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a tree, also one with directories that are not writable.
pub fn remove_tree(path: &Path) -> Result<(), StoreError> {
    let Err(first) = fs_err::remove_dir_all(path) else {
        return Ok(());
    };
    if first.kind() == std::io::ErrorKind::NotFound {
        return Ok(());
    }
    make_writable(path);
    fs_err::remove_dir_all(path).map_err(|source| StoreError::io("remove", path, source))
}

fn make_writable(directory: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let _ = fs_err::set_permissions(directory, std::fs::Permissions::from_mode(0o700));
    for entry in fs_err::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}
