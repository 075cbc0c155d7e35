//! Keeps all data of locald: a valid OCI image layout, extracted layers, and a
//! directory for each project. [`layer`] extracts the layers.
//!
//! ```text
//! oci-layout, index.json, blobs/sha256/HEX   OCI image layout
//! index-copy.json                            a copy of index.json
//! layers/HEX/                                a layer's tree, by its diffID
//! trees/HEX                                  the state of that tree after its extraction,
//!                                            and the directories that its archive omits
//! projects/ID/                               source, caches, last build
//! locks/, tmp/
//! ```
//!
//! Many processes may use one store. Each file is written to `tmp/`, verified,
//! synced and renamed. Locks are `flock`s on files in `locks/`, which end with
//! their holder:
//!
//! - `index.lock`, exclusive, while a process rewrites `index.json`;
//! - `use.lock`, shared by every request that makes or uses blobs and layers,
//!   exclusive during garbage collection (`turn.lock` and `sessions.lock`
//!   decide which process is next, see the module `use_lock`);
//! - `layer-HEX.lock`, exclusive, during the extraction of a layer;
//! - `project-ID.lock`, exclusive, during a build.

mod blob;
pub(crate) mod boot_id;
mod error;
mod garbage;
mod image;
mod index;
pub mod layer;
mod layers;
pub(crate) mod local_encoding;
mod lock;
mod needs;
mod project;
mod removal;
mod temporary;
mod tree;
mod use_lock;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub use blob::{BlobReader, BlobWriter};
pub use error::StoreError;
pub use garbage::{Space, disk_usage};
pub(crate) use image::or_default;
pub use image::{Descriptor, Image, ImageConfig, Manifest, RuntimeConfig};
pub use index::{Restored, StoredImage, seconds_since_epoch};
pub use lock::Lock;
pub use needs::{Content, Needs};
pub use project::{MalformedProjectId, ProjectDir, ProjectId};
pub(crate) use removal::remove_file;
pub use removal::remove_tree;
pub use temporary::Temporary;
pub use tree::TreeState;
pub use use_lock::{UseKind, UseLock};

/// The content of `oci-layout`: OCI image layout specification.
const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
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
    /// Temporary files of this process. The store makes them on first use, so
    /// that a process that only reads or removes works on a full file system.
    scratch: OnceLock<Temporary>,
}

impl Store {
    /// Opens the store in a directory. Makes the directory if it is missing.
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
        temporary::sweep(&root.join("tmp"))?;
        let inner = Inner {
            root: root.to_owned(),
            scratch: OnceLock::new(),
        };
        let store = Self {
            inner: Arc::new(inner),
        };
        // A store that cannot be written can still be read.
        if let Err(error) = store.complete() {
            tracing::debug!(%error, "the store's layout is not complete");
        }
        Ok(store)
    }

    /// Writes the files that an image layout needs. Does not replace a lost
    /// index.
    fn complete(&self) -> Result<(), StoreError> {
        let index = self.root().join("index.json");
        if !index.exists() && self.read_index().is_ok() {
            self.make_index()?;
        }
        let layout = self.root().join("oci-layout");
        // A power cut may have left it empty.
        if fs_err::read(&layout).is_ok_and(|text| !text.is_empty()) {
            return Ok(());
        }
        fs_err::write(&layout, LAYOUT).map_err(|source| StoreError::io("write", &layout, source))
    }

    /// The directory of the store.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// A new directory for the temporary files of a request.
    pub fn temporary(&self) -> Result<Temporary, StoreError> {
        Temporary::new(self.root())
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
}
