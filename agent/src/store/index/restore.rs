//! Restores the names of images if the index is lost or damaged.
//!
//! The names come from the copy of the index. locald finds further images among
//! the blobs and gives them generated names.

use std::collections::HashSet;
use std::io;

use protocol::event::ImageRole;

use super::StoredImage;
use super::document::Document;
use crate::crash::{self, Point};
use crate::images::digest::Digest;
use crate::images::media_type;
use crate::images::reference::DOCKER_HUB;
use crate::store::{DOCUMENT_CAP, Descriptor, Image, Lock, Store, StoreError, error};

/// The result of restoring an index that was lost or damaged.
#[derive(Debug)]
pub struct Restored {
    /// Why the old index could not be read.
    pub reason: StoreError,
    /// The names in the new index.
    pub names: Vec<String>,
}

impl Store {
    /// Restores the index if it is lost or damaged. Keeps the damaged file
    /// beside the new one.
    pub fn restore_index(&self) -> Result<Option<Restored>, StoreError> {
        let _lock = Lock::exclusive(&self.lock_path("index.lock"))?;
        let reason = match self.read_index() {
            Ok(_) => return Ok(None),
            Err(reason @ StoreError::Index { .. }) => reason,
            Err(error) => return Err(error),
        };
        let mut document = match self.read_copy() {
            Ok(document) => document,
            Err(error) if error::is_damage(&error) => {
                tracing::warn!(%error, "the copy of the index is of no use either");
                Document::empty()
            }
            Err(error) => return Err(StoreError::io("read", &self.copy_path(), error)),
        };
        document
            .images
            .retain(|image| self.has_blob(&image.descriptor.digest));
        self.add_unnamed(&mut document)?;
        self.put_index_aside()?;
        self.write_index(&document)?;
        crash::at(Point::IndexRestored);
        let names = document.images.into_iter().map(|image| image.name);
        Ok(Some(Restored {
            reason,
            names: names.collect(),
        }))
    }

    fn put_index_aside(&self) -> Result<(), StoreError> {
        let path = self.index_path();
        let names = (0_u32..).map(|number| format!("index-damaged-{number}.json"));
        let mut names = names.map(|name| self.root().join(name));
        let Some(aside) = names.find(|name| !name.exists()) else {
            return Ok(());
        };
        match fs_err::rename(&path, &aside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => renamed.map_err(|source| StoreError::io("put aside", &path, source)),
        }
    }

    /// Adds the images that have blobs and no name.
    fn add_unnamed(&self, document: &mut Document) -> Result<(), StoreError> {
        let named = document.images.iter().map(|image| image.descriptor.digest);
        let named: HashSet<Digest> = named.collect();
        for (digest, size) in self.blobs()? {
            if named.contains(&digest) || size > 2 * DOCUMENT_CAP {
                continue;
            }
            let image = match self.image(&digest) {
                Ok(image) => image,
                Err(error) if error.is_damage() => continue,
                Err(error) => return Err(error),
            };
            let (name, descriptor) = (recovered(&digest), descriptor(&image));
            let found = StoredImage::now(name, descriptor, role(&image));
            document.images.push(found);
        }
        Ok(())
    }
}

fn recovered(digest: &Digest) -> String {
    let short = &digest.hex()[..12];
    format!("{DOCKER_HUB}/recovered/{short}:latest")
}

fn descriptor(image: &Image) -> Descriptor {
    let media_type = image.manifest.media_type.clone();
    Descriptor {
        media_type: media_type.unwrap_or_else(|| media_type::MANIFEST.to_owned()),
        digest: image.digest,
        size: image.manifest_bytes.len() as u64,
    }
}

/// The role of an image, derived from its labels.
fn role(image: &Image) -> ImageRole {
    let runtime = image.config.runtime();
    if runtime.label("io.buildpacks.lifecycle.metadata").is_some() {
        ImageRole::Application
    } else if runtime.label("io.buildpacks.builder.metadata").is_some() {
        ImageRole::Builder
    } else {
        ImageRole::Other
    }
}
