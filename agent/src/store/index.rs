//! Reads and writes the references of the store: `index.json` of the OCI image
//! layout. Its annotations hold the name of each image and what locald knows
//! about it.

mod document;
mod file;
mod restore;

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::event::ImageRole;

use super::image::Descriptor;
use super::{Lock, Store, StoreError};
use crate::crash::{self, Point};

pub use restore::Restored;

/// The fewest hexadecimal digits of a digest that [`Store::find`] accepts.
const PREFIX: usize = 6;

/// A reference and the image that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    /// Canonical reference.
    pub name: String,
    /// The manifest.
    pub descriptor: Descriptor,
    /// Why the image is here.
    pub role: ImageRole,
    /// Seconds since the epoch when the reference was last set.
    pub updated: u64,
    /// Seconds since the epoch when a registry last confirmed the reference.
    pub checked: u64,
}

impl StoredImage {
    /// A reference whose times of update and confirmation are now.
    pub fn now(name: impl Into<String>, descriptor: Descriptor, role: ImageRole) -> Self {
        let now = seconds_since_epoch();
        Self {
            name: name.into(),
            descriptor,
            role,
            updated: now,
            checked: now,
        }
    }
}

/// The current time in seconds since the epoch.
pub fn seconds_since_epoch() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Store {
    /// All references, sorted by name.
    pub fn images(&self) -> Result<Vec<StoredImage>, StoreError> {
        Ok(self.read_index()?.images)
    }

    /// Finds an image by its canonical reference
    /// (`docker.io/library/app:latest`), by its digest (`sha256:…`), or by at
    /// least six first digits of the digest.
    ///
    /// # Errors
    ///
    /// [`StoreError::Ambiguous`] if several digests begin with the digits;
    /// [`StoreError::Index`] if the index cannot be read.
    pub fn find(&self, wanted: &str) -> Result<Option<StoredImage>, StoreError> {
        let images = self.images()?;
        if let Some(image) = images.iter().find(|image| image.name == wanted) {
            return Ok(Some(image.clone()));
        }
        let digits = wanted.strip_prefix("sha256:").unwrap_or(wanted);
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if digits.len() < PREFIX || !is_hex {
            return Ok(None);
        }
        let fits = |image: &StoredImage| image.descriptor.digest.hex().starts_with(digits);
        let mut fitting: Vec<_> = images.into_iter().filter(fits).collect();
        fitting.dedup_by_key(|image| image.descriptor.digest);
        match fitting.len() {
            0 | 1 => Ok(fitting.pop()),
            _ => Err(StoreError::Ambiguous(wanted.to_owned())),
        }
    }

    /// Sets references, all in one step. First syncs the directory of the
    /// blobs, so that no reference survives a power cut without its blobs. The
    /// caller must have written all blobs of the images.
    pub fn set_images(&self, images: &[StoredImage]) -> Result<(), StoreError> {
        let blobs = self.root().join("blobs/sha256");
        fs_err::File::open(&blobs)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| StoreError::io("sync", &blobs, source))?;
        self.change_index(|stored| {
            stored.retain(|old| !images.iter().any(|new| new.name == old.name));
            stored.extend_from_slice(images);
        })
    }

    /// Removes all references.
    pub(super) fn forget_images(&self) -> Result<(), StoreError> {
        self.change_index(Vec::clear)
    }

    /// Removes references. Returns the names that were in the index.
    pub fn remove_images(&self, names: &[String]) -> Result<Vec<String>, StoreError> {
        let mut removed = Vec::new();
        self.change_index(|stored| {
            stored.retain(|image| {
                let keep = !names.contains(&image.name);
                if !keep {
                    removed.push(image.name.clone());
                }
                keep
            });
        })?;
        crash::at(Point::NameRemoved);
        Ok(removed)
    }

    /// Records that a registry has confirmed a reference now.
    pub fn touch_checked(&self, name: &str) -> Result<(), StoreError> {
        self.change_index(|stored| {
            for image in stored.iter_mut().filter(|image| image.name == name) {
                image.checked = seconds_since_epoch();
            }
        })
    }

    /// Writes an empty index if there is none.
    pub(super) fn make_index(&self) -> Result<(), StoreError> {
        self.change_index(|_| {})
    }

    fn change_index(&self, change: impl FnOnce(&mut Vec<StoredImage>)) -> Result<(), StoreError> {
        let _lock = Lock::exclusive(&self.lock_path("index.lock"))?;
        let mut document = self.read_index()?;
        change(&mut document.images);
        self.write_index(&document)
    }
}
