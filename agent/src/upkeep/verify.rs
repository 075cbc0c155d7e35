//! Whether the store is what it says it is.
//!
//! Every blob is read and its digest compared with its name. Trees of layers
//! are compared with what was noted when they were extracted.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use protocol::event::{ImageRole, Repair, StoreFault, Verified};
use protocol::request::{PullPolicy, RegistryAccess};
use protocol::{Event, Failure, FailureKind, Reply};

use super::alone;
use super::inventory::{Content, Inventory, Needs};
use crate::Agent;
use crate::crash::{self, Point};
use crate::dialogue::Dialogue;
use crate::digest::{DiffId, Digest};
use crate::image::{familiar, origin, run_image_layers};
use crate::reference::ImageRef;
use crate::registry::{Registry, Want};
use crate::store::{Image, Store, StoreError, StoredImage, TreeState};

/// Why something cannot be fetched.
const BUILT: &str = "it was built here, and is in no registry that is known";

/// Looks at everything; with a way to registries, mends what it can.
pub async fn verify(
    agent: &Agent,
    repair: Option<RegistryAccess>,
    dialogue: &Dialogue,
) -> Result<Reply, Failure> {
    let store = &agent.store;
    // What is being written would look like what nothing needs.
    let _alone = alone(store, dialogue).await?;
    let task = store.clone();
    let found = tokio::task::spawn_blocking(move || look(&task)).await;
    let found = found.map_err(|error| Failure::from_error(FailureKind::Internal, &error))??;
    let mut verified = found.verified;
    let mender = repair.map(|access| Mender {
        store,
        registry: Registry::new(access, dialogue.clone()),
    });
    for fault in found.faults {
        let done = match &mender {
            Some(mender) => mender.mend(&fault).await?,
            None => None,
        };
        verified.faults += u64::from(done.is_none());
        let event = StoreFault {
            what: fault.what,
            reason: fault.reason,
            images: fault
                .images
                .iter()
                .map(|stored| familiar(&stored.name))
                .collect(),
            repair: done,
        };
        dialogue.event(Event::Fault(event)).await?;
    }
    if mender.is_some() {
        store.sweep()?;
    }
    Ok(Reply::Verified(verified))
}

/// Something is not as it should be.
struct Fault {
    what: String,
    reason: String,
    /// A blob whose content is not what its name says.
    corrupt: Option<Digest>,
    /// A layer whose tree is not what was extracted.
    changed: Option<DiffId>,
    /// What needs it.
    images: Vec<StoredImage>,
}

struct Found {
    verified: Verified,
    faults: Vec<Fault>,
}

fn look(store: &Store) -> Result<Found, StoreError> {
    let inventory = Inventory::take(store)?;
    let blobs: Vec<Digest> = inventory.blobs().collect();
    let corrupt = corrupt_blobs(store, &blobs)?;
    let mut faults = Vec::new();
    for (digest, reason) in &corrupt {
        let content = Content::Blob(*digest);
        let needed = |(_, needs): &&(StoredImage, Needs)| needs.contains(&content);
        let images = inventory.images.iter().filter(needed);
        faults.push(Fault {
            what: format!("blob {digest}"),
            reason: reason.clone(),
            corrupt: Some(*digest),
            changed: None,
            images: images.map(|(stored, _)| stored.clone()).collect(),
        });
    }
    for diff_id in inventory.layers() {
        if store.tree_state(&diff_id)? == TreeState::Changed {
            let content = Content::Layer(diff_id);
            let needed = |(_, needs): &&(StoredImage, Needs)| needs.contains(&content);
            let images = inventory.images.iter().filter(needed);
            faults.push(Fault {
                what: format!("layer {}", diff_id.0),
                reason: "its files are not those that were extracted".to_owned(),
                corrupt: None,
                changed: Some(diff_id),
                images: images.map(|(stored, _)| stored.clone()).collect(),
            });
        }
    }
    let corrupt: HashSet<Digest> = corrupt.into_iter().map(|(digest, _)| digest).collect();
    for (stored, _) in &inventory.images {
        // A corrupt document is a fault already.
        if !corrupt.contains(&stored.descriptor.digest)
            && let Some(reason) = missing(store, stored, &corrupt)
        {
            faults.push(Fault {
                what: format!("image {}", familiar(&stored.name)),
                reason,
                corrupt: None,
                changed: None,
                images: vec![stored.clone()],
            });
        }
    }
    Ok(Found {
        verified: Verified {
            images: inventory.images.len() as u64,
            blobs: blobs.len() as u64,
            layers: (inventory.sizes.len() - blobs.len()) as u64,
            bytes: blobs
                .iter()
                .map(|blob| inventory.sizes[&Content::Blob(*blob)])
                .sum(),
            faults: 0,
        },
        faults,
    })
}

/// Reads all blobs, in as many threads as there are processors.
fn corrupt_blobs(store: &Store, blobs: &[Digest]) -> Result<Vec<(Digest, String)>, StoreError> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(Digest, String)>, StoreError> {
        let mut corrupt = Vec::new();
        while let Some(digest) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let actual = store.hash_blob(digest)?;
            if actual != *digest {
                corrupt.push((*digest, format!("its content has the digest {actual}")));
            }
        }
        Ok(corrupt)
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut corrupt = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(found) => corrupt.extend(found?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(corrupt)
    })
}

/// What an image lacks and cannot simply fetch when it is used.
fn missing(store: &Store, stored: &StoredImage, corrupt: &HashSet<Digest>) -> Option<String> {
    let image = match store.image(&stored.descriptor.digest) {
        Ok(image) => image,
        Err(error) => return Some(format!("its documents cannot be read: {error}")),
    };
    let fetched = fetched_layers(stored, &image);
    let own = image.layers().skip(fetched);
    let lacks = own.filter(|(blob, diff_id)| {
        !store.has_blob(&blob.digest)
            && !store.has_layer(diff_id)
            && !corrupt.contains(&blob.digest)
    });
    let lacks: Vec<String> = lacks.map(|(_, diff_id)| diff_id.0.to_string()).collect();
    (!lacks.is_empty()).then(|| format!("it has no layer {}", lacks.join(", ")))
}

/// Layers, base first, that come from a registry whenever they are needed: all
/// of an image that was pulled, those of the run image of one that was built.
fn fetched_layers(stored: &StoredImage, image: &Image) -> usize {
    if stored.role != ImageRole::Application {
        return image.manifest.layers.len();
    }
    run_image_layers(image)
}

struct Mender<'a> {
    store: &'a Store,
    registry: Registry,
}

impl Mender<'_> {
    /// Absent when nothing could be done but to say so.
    async fn mend(&self, fault: &Fault) -> Result<Option<Repair>, Failure> {
        if let Some(diff_id) = &fault.changed {
            return self.mend_tree(diff_id, &fault.images).await;
        }
        if let Some(digest) = &fault.corrupt {
            self.store.remove_blob(digest)?;
            crash::at(Point::DamageRemoved);
        }
        if fault.images.is_empty() {
            return Ok(Some(Repair::Removed));
        }
        let mut lost = None;
        for stored in &fault.images {
            if let Err(reason) = self.fetch(fault, stored).await {
                self.store
                    .remove_images(std::slice::from_ref(&stored.name))?;
                lost = Some(reason);
            }
        }
        let repair = lost.map_or(Repair::Fetched, |reason| Repair::Lost { reason });
        Ok(Some(repair))
    }

    /// Extracts a layer again: of its blob, or of what a registry has. An image
    /// whose layer cannot be had now is not lost: its next use asks again.
    async fn mend_tree(
        &self,
        diff_id: &DiffId,
        images: &[StoredImage],
    ) -> Result<Option<Repair>, Failure> {
        self.store.remove_tree_of(diff_id)?;
        if images.is_empty() {
            return Ok(Some(Repair::Removed));
        }
        for stored in images {
            let Ok(image) = self.store.image(&stored.descriptor.digest) else {
                continue;
            };
            let Some(name) = origin(stored, &image) else {
                continue;
            };
            let fetched = self.registry.fetch_layers(self.store, &name, &image);
            if fetched.await.is_ok() && self.store.has_layer(diff_id) {
                return Ok(Some(Repair::Fetched));
            }
        }
        Ok(None)
    }

    /// Fetches what an image lacks from where the image has it from.
    async fn fetch(&self, fault: &Fault, stored: &StoredImage) -> Result<(), String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        match self.store.image(&stored.descriptor.digest) {
            Ok(image) => {
                let fetched = image
                    .manifest
                    .layers
                    .iter()
                    .take(fetched_layers(stored, &image));
                let layer = fetched
                    .into_iter()
                    .find(|layer| Some(layer.digest) == fault.corrupt);
                let (layer, name) = layer.zip(origin(stored, &image)).ok_or(BUILT)?;
                let fetched = self.registry.fetch_blob(self.store, &name, layer).await;
                fetched.map_err(|error| text(&error))
            }
            Err(_) if stored.role == ImageRole::Application => Err(BUILT.to_owned()),
            Err(_) => {
                let name: ImageRef = stored.name.parse().map_err(|error| text(&error))?;
                // What is there of it would be trusted.
                let removed = self.store.remove_images(std::slice::from_ref(&stored.name));
                removed.map_err(|error| text(&error))?;
                let pulled = self.registry.pull(
                    self.store,
                    &name,
                    PullPolicy::Always,
                    Want::Documents,
                    stored.role,
                );
                pulled.await.map(drop).map_err(|error| text(&error))
            }
        }
    }
}
