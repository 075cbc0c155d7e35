//! Repairs damage: fetches or extracts content again if possible. Leaves other
//! damaged content in place, with the images that need it, because it may be
//! the only copy of a user's work.

use std::collections::HashSet;

use protocol::Failure;
use protocol::event::{ImageRole, Repair};

use super::damage::{Damage, Finding, fetched_layers, lacking};
use crate::buildpack_build::lifecycle::metadata::origin;
use crate::crash::{self, Point};
use crate::images::digest::{DiffId, Digest};
use crate::images::reference::{DOCKER_HUB, ImageRef};
use crate::registry::{Registry, RegistryError};
use crate::store::{Descriptor, Image, Store, StoredImage, TreeState};

/// The reason why locald cannot fetch some content.
const BUILT: &str = "it was built here, and is in no registry that is known";

pub(super) struct Repairer<'a> {
    store: &'a Store,
    registry: Registry,
    /// Registries that did not answer an earlier request.
    silent: HashSet<String>,
}

impl<'a> Repairer<'a> {
    pub(super) fn new(store: &'a Store, registry: Registry) -> Self {
        Self {
            store,
            registry,
            silent: HashSet::new(),
        }
    }

    /// Repairs damage. Absent if locald can only report it.
    pub(super) async fn repair(&mut self, fault: &Finding) -> Result<Option<Repair>, Failure> {
        let repair = match fault.damage {
            Damage::Blob(digest) => self.repair_blob(&digest, fault).await?,
            Damage::Tree(diff_id) => self.repair_tree(&diff_id, fault).await?,
            Damage::Image => self.repair_image(&fault.images[0]).await,
        };
        Ok(match repair {
            // The content could not be read, or locald cannot determine whether
            // an image needs it.
            Repair::Refused { .. } if fault.is_unread || fault.images.is_empty() => None,
            repair => Some(repair),
        })
    }

    async fn repair_blob(&mut self, digest: &Digest, fault: &Finding) -> Result<Repair, Failure> {
        if fault.is_garbage {
            self.store.remove_blob(digest)?;
            crash::at(Point::DamageRemoved);
            return Ok(Repair::Removed);
        }
        let mut reason = BUILT.to_owned();
        for stored in &fault.images {
            match self.fetch_blob(digest, stored).await {
                Ok(()) => return Ok(Repair::Fetched),
                Err(error) => reason = error,
            }
        }
        let runs = |stored| self.runs_without(digest, stored);
        if !fault.is_unread && !fault.images.is_empty() && fault.images.iter().all(runs) {
            self.store.remove_blob(digest)?;
            crash::at(Point::DamageRemoved);
            return Ok(Repair::RunsOnly);
        }
        Ok(Repair::Refused { reason })
    }

    /// Whether an image needs a blob only as the archive of a layer whose tree
    /// is intact.
    fn runs_without(&self, digest: &Digest, stored: &StoredImage) -> bool {
        let Ok(image) = self.store.image(&stored.descriptor.digest) else {
            return false;
        };
        let is_whole = |diff_id| {
            let state = self.store.tree_state(diff_id);
            self.store.has_layer(diff_id) && state.is_ok_and(|state| state == TreeState::Whole)
        };
        let mut layers = image.layers().filter(|(blob, _)| blob.digest == *digest);
        layers.all(|(_, diff_id)| is_whole(diff_id))
    }

    /// Extracts a layer again, from its blob or from a registry.
    async fn repair_tree(&mut self, diff_id: &DiffId, fault: &Finding) -> Result<Repair, Failure> {
        if fault.is_garbage {
            self.store.remove_tree_of(diff_id)?;
            return Ok(Repair::Removed);
        }
        let mut reason = BUILT.to_owned();
        for stored in &fault.images {
            let Ok(image) = self.store.image(&stored.descriptor.digest) else {
                continue;
            };
            let layers = image.layers().filter(|(_, other)| *other == diff_id);
            for (blob, _) in layers {
                let had = self.store.has_blob(&blob.digest);
                if had && self.extract(blob, diff_id).is_ok() {
                    return Ok(Repair::Restored);
                }
                let fetched = self.fetch_blob(&blob.digest, stored).await;
                let extracted = fetched.and_then(|()| self.extract(blob, diff_id));
                // For a pulled image the tree suffices, because a registry has
                // the blob.
                if !had && stored.role != ImageRole::Application {
                    let _ = self.store.remove_blob(&blob.digest);
                }
                match extracted {
                    Ok(()) => return Ok(Repair::Fetched),
                    Err(error) => reason = error,
                }
            }
        }
        Ok(Repair::Refused { reason })
    }

    fn extract(&self, blob: &Descriptor, diff_id: &DiffId) -> Result<(), String> {
        let extract = || self.store.extract_again(blob, diff_id);
        tokio::task::block_in_place(extract).map_err(|error| error.to_string())
    }

    /// Fetches the missing documents of an image, or its own layers that the
    /// store lacks.
    async fn repair_image(&mut self, stored: &StoredImage) -> Repair {
        let mended = async {
            let image = self.store.image(&stored.descriptor.digest);
            let Ok(image) = image else {
                return self.fetch_documents(stored).await;
            };
            let lacking: Vec<Digest> = lacking(self.store, stored, &image).collect();
            for digest in lacking {
                self.fetch_blob(&digest, stored).await?;
            }
            Ok(())
        };
        match mended.await {
            Ok(()) => Repair::Fetched,
            Err(reason) => Repair::Refused { reason },
        }
    }

    /// Fetches a blob of an image from the image's sources.
    async fn fetch_blob(&mut self, digest: &Digest, stored: &StoredImage) -> Result<(), String> {
        let layer = match self.store.image(&stored.descriptor.digest) {
            Err(_) => None,
            Ok(image) => {
                let mut layers = image.manifest.layers.iter().enumerate();
                let found = layers.find(|(_, layer)| layer.digest == *digest);
                found.map(|(number, layer)| (layer.clone(), sources(stored, &image, number)))
            }
        };
        let Some((layer, names)) = layer else {
            return self.fetch_documents(stored).await;
        };
        let mut result = Err(BUILT.to_owned());
        for name in names {
            let (registry, store) = (self.registry.clone(), self.store);
            let fetch = registry.replace_blob(store, &name, &layer);
            result = self.attempt(&name, fetch).await;
            if result.is_ok() {
                break;
            }
        }
        result
    }

    async fn fetch_documents(&mut self, stored: &StoredImage) -> Result<(), String> {
        let name = own_source(stored).ok_or(BUILT)?;
        let (registry, store) = (self.registry.clone(), self.store);
        let fetch = registry.replace_documents(store, &name, &stored.descriptor.digest);
        self.attempt(&name, fetch).await
    }

    async fn attempt(
        &mut self,
        name: &ImageRef,
        work: impl Future<Output = Result<(), RegistryError>>,
    ) -> Result<(), String> {
        let registry = name.registry_name();
        if self.silent.contains(registry) {
            return Err(format!("registry {registry} does not answer"));
        }
        let done = work.await;
        if done.as_ref().is_err_and(RegistryError::is_unreachable) {
            self.silent.insert(registry.to_owned());
        }
        done.map_err(|error| error.to_string())
    }
}

/// The references from which locald may fetch a layer of an image, by its
/// number.
fn sources(stored: &StoredImage, image: &Image, layer: usize) -> Vec<ImageRef> {
    let fetched = layer < fetched_layers(stored, image);
    let origin = fetched.then(|| origin(stored, image)).flatten();
    let own = own_source(stored).filter(|own| origin.as_ref() != Some(own));
    origin.into_iter().chain(own).collect()
}

/// The reference of an image, if locald may have pulled it from there or pushed
/// it there.
fn own_source(stored: &StoredImage) -> Option<ImageRef> {
    let name: ImageRef = stored.name.parse().ok()?;
    // The user gave such a name without a registry. No user can push to it.
    let local = name.registry() == DOCKER_HUB && name.repository().starts_with("library/");
    let built = stored.role == ImageRole::Application;
    (!(built && local)).then_some(name)
}
