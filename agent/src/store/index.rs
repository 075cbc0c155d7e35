//! The references of the store: `index.json` of the OCI image layout, where
//! annotations hold the name of each image and what locald knows about it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::event::ImageRole;
use serde::{Deserialize, Serialize};

use super::image::Descriptor;
use super::{Lock, Store, StoreError};
use crate::crash::{self, Point};
use crate::digest::Digest;
use crate::media_type;

/// OCI image layout: the annotation that holds a reference.
const NAME: &str = "org.opencontainers.image.ref.name";
/// Why the image is here.
const ROLE: &str = "dev.locald.role";
/// Seconds since the epoch when the reference was last set.
const UPDATED: &str = "dev.locald.updated";
/// Seconds since the epoch when a registry last confirmed the reference.
const CHECKED: &str = "dev.locald.checked";
/// The fewest hexadecimal digits by which an image is found.
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
    /// A reference that was set, and confirmed, now.
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

/// The current time.
pub fn seconds_since_epoch() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: String,
    manifests: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(flatten)]
    descriptor: Descriptor,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Store {
    /// All references, by name.
    pub fn images(&self) -> Result<Vec<StoredImage>, StoreError> {
        let path = self.root().join("index.json");
        let bytes = match fs_err::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(StoreError::io("read", &path, source)),
        };
        let index: Index =
            serde_json::from_slice(&bytes).map_err(|source| StoreError::Index { path, source })?;
        Ok(index.manifests.into_iter().filter_map(from_entry).collect())
    }

    /// The image of a canonical reference, of a digest, or of the first six
    /// or more digits of one.
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

    /// Sets references, all in one step, after the names of all blobs have
    /// become as lasting as their content.
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

    /// Removes references; says which of them there were.
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

    /// Notes that a registry has confirmed a reference just now.
    pub fn touch_checked(&self, name: &str) -> Result<(), StoreError> {
        self.change_index(|stored| {
            for image in stored.iter_mut().filter(|image| image.name == name) {
                image.checked = seconds_since_epoch();
            }
        })
    }

    fn change_index(&self, change: impl FnOnce(&mut Vec<StoredImage>)) -> Result<(), StoreError> {
        let _lock = Lock::exclusive(&self.lock_path("index.lock"))?;
        let mut images = self.images()?;
        change(&mut images);
        images.sort_by(|a, b| a.name.cmp(&b.name));
        let index = Index {
            schema_version: 2,
            media_type: media_type::INDEX.to_owned(),
            manifests: images.iter().map(to_entry).collect(),
        };
        let path = self.root().join("index.json");
        let bytes = serde_json::to_vec(&index).map_err(|source| StoreError::Index {
            path: path.clone(),
            source,
        })?;
        self.write_atomically(&path, &bytes)?;
        crash::at(Point::IndexReplaced);
        Ok(())
    }

    /// Digests of all referenced manifests.
    pub(super) fn referenced(&self) -> Result<Vec<Digest>, StoreError> {
        let images = self.images()?;
        Ok(images.iter().map(|image| image.descriptor.digest).collect())
    }
}

fn from_entry(entry: Entry) -> Option<StoredImage> {
    let text = |key: &str| entry.annotations.get(key).map(String::as_str);
    let number = |key: &str| text(key).and_then(|text| text.parse().ok()).unwrap_or(0);
    Some(StoredImage {
        name: text(NAME)?.to_owned(),
        role: role_from(text(ROLE).unwrap_or_default()),
        updated: number(UPDATED),
        checked: number(CHECKED),
        descriptor: entry.descriptor,
    })
}

fn to_entry(image: &StoredImage) -> Entry {
    let annotations = [
        (NAME, image.name.clone()),
        (ROLE, role_name(image.role).to_owned()),
        (UPDATED, image.updated.to_string()),
        (CHECKED, image.checked.to_string()),
    ];
    Entry {
        descriptor: image.descriptor.clone(),
        annotations: annotations
            .map(|(key, value)| (key.to_owned(), value))
            .into(),
    }
}

fn role_name(role: ImageRole) -> &'static str {
    match role {
        ImageRole::Application => "application",
        ImageRole::Builder => "builder",
        ImageRole::RunImage => "run-image",
        ImageRole::Other => "other",
        ImageRole::Buildpack => "buildpack",
    }
}

fn role_from(name: &str) -> ImageRole {
    match name {
        "application" => ImageRole::Application,
        "buildpack" => ImageRole::Buildpack,
        "builder" => ImageRole::Builder,
        "run-image" => ImageRole::RunImage,
        _ => ImageRole::Other,
    }
}
