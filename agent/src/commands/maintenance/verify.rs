//! Verifies the store.
//!
//! It reads every blob and compares the digest of its content with its name. It
//! compares each layer's tree with the digest that the store recorded after the
//! extraction.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use protocol::event::{Repair, StoreFault, Verified};
use protocol::request::RegistryAccess;
use protocol::{Event, Failure, FailureKind, Reply};

use super::damage::{Damage, Finding, lacking};
use super::inventory::Inventory;
use super::repair::Repairer;
use crate::Agent;
use crate::images::digest::{DiffId, Digest};
use crate::images::reference::familiar;
use crate::registry::Registry;
use crate::request::store_use::alone;
use crate::request::stream::RequestStream;
use crate::store::{Content, Restored, Store, StoreError, StoredImage, TreeState};

/// Verifies the whole store. With access to registries, repairs the damage that
/// it can. No reference is removed.
pub async fn verify(
    agent: &Agent,
    repair: Option<RegistryAccess>,
    stream: &RequestStream,
) -> Result<Reply, Failure> {
    let store = &agent.store;
    // A request in progress has content that no reference names yet.
    let _alone = alone(store, stream).await?;
    let mut repairer =
        repair.map(|access| Repairer::new(store, Registry::new(access, stream.clone())));
    if repairer.is_some()
        && let Some(restored) = store.restore_index()?
    {
        stream.event(Event::Fault(index_fault(restored))).await?;
    }
    let task = store.clone();
    let found = tokio::task::spawn_blocking(move || look(&task)).await;
    let found = found.map_err(|error| Failure::from_error(FailureKind::Internal, &error))??;
    let mut verified = found.verified;
    for fault in found.faults {
        let repair = match &mut repairer {
            Some(repairer) => repairer.repair(&fault).await?,
            None => None,
        };
        let remains = matches!(repair, None | Some(Repair::Refused { .. }));
        verified.faults += u64::from(remains);
        let names = fault.images.iter().map(|stored| familiar(&stored.name));
        let event = StoreFault {
            what: fault.what,
            reason: fault.reason,
            images: names.collect(),
            repair,
        };
        stream.event(Event::Fault(event)).await?;
    }
    if repairer.is_some() {
        match store.sweep() {
            // The damage that causes this is already reported.
            Err(StoreError::UnknownNeeds { .. }) => {}
            swept => drop(swept?),
        }
    }
    Ok(Reply::Verified(verified))
}

fn index_fault(restored: Restored) -> StoreFault {
    let Failure {
        message, causes, ..
    } = restored.reason.into();
    StoreFault {
        what: "index.json".to_owned(),
        reason: [vec![message], causes].concat().join(": "),
        images: restored.names.iter().map(|name| familiar(name)).collect(),
        repair: Some(Repair::Restored),
    }
}

struct Found {
    verified: Verified,
    faults: Vec<Finding>,
}

/// Why an object is damaged.
struct Reason {
    text: String,
    is_unread: bool,
}

impl From<StoreError> for Reason {
    fn from(error: StoreError) -> Self {
        let is_unread = !error.is_damage();
        let Failure {
            message,
            causes,
            hint,
            ..
        } = error.into();
        let mut text = [vec![message], causes].concat().join(": ");
        if let (true, Some(hint)) = (is_unread, hint) {
            text = format!("{text} ({hint})");
        }
        Self { text, is_unread }
    }
}

fn look(store: &Store) -> Result<Found, StoreError> {
    let inventory = Inventory::take(store)?;
    let blobs: Vec<Digest> = inventory.blobs().collect();
    let content_fault = |what: String, damage, content, reason: Reason| Finding {
        what,
        reason: reason.text,
        damage,
        is_unread: reason.is_unread,
        is_garbage: inventory.is_garbage(content),
        images: inventory.users(content),
    };
    let mut faults = Vec::new();
    let mut corrupt = HashSet::new();
    for (digest, reason) in corrupt_blobs(store, &blobs) {
        corrupt.insert(digest);
        let (damage, content) = (Damage::Blob(digest), Content::Blob(digest));
        faults.push(content_fault(
            format!("blob {digest}"),
            damage,
            content,
            reason,
        ));
    }
    for diff_id in inventory.layers() {
        if let Some(reason) = changed(store, &diff_id) {
            let (damage, content) = (Damage::Tree(diff_id), Content::Layer(diff_id));
            let what = format!("layer {}", diff_id.0);
            faults.push(content_fault(what, damage, content, reason));
        }
    }
    for (stored, needs) in &inventory.images {
        let is_told = |digest: &Digest| needs.contains(&Content::Blob(*digest));
        if let Some(text) = missing(store, stored, &corrupt, corrupt.iter().any(is_told)) {
            faults.push(Finding {
                what: format!("image {}", familiar(&stored.name)),
                reason: text,
                damage: Damage::Image,
                is_unread: false,
                is_garbage: false,
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

/// Reads all blobs, with one thread for each processor.
fn corrupt_blobs(store: &Store, blobs: &[Digest]) -> Vec<(Digest, Reason)> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut corrupt = Vec::new();
        while let Some(digest) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            match store.hash_blob(digest) {
                Ok(actual) if actual == *digest => {}
                Ok(actual) => {
                    let text = format!("its content has the digest {actual}");
                    let is_unread = false;
                    corrupt.push((*digest, Reason { text, is_unread }));
                }
                Err(error) => corrupt.push((*digest, error.into())),
            }
        }
        corrupt
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut corrupt = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(found) => corrupt.extend(found),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        corrupt
    })
}

/// Why a tree differs from its extraction.
fn changed(store: &Store, diff_id: &DiffId) -> Option<Reason> {
    match store.tree_state(diff_id) {
        Ok(TreeState::Whole | TreeState::Unknown) => None,
        Ok(TreeState::Changed) => Some(Reason {
            text: "its files are not those that were extracted".to_owned(),
            is_unread: false,
        }),
        Err(error) => Some(error.into()),
    }
}

/// The content that an image lacks and that locald cannot fetch on use. Damage
/// of one of its blobs may already be reported.
fn missing(
    store: &Store,
    stored: &StoredImage,
    corrupt: &HashSet<Digest>,
    is_told: bool,
) -> Option<String> {
    let image = match store.image(&stored.descriptor.digest) {
        Ok(image) => image,
        Err(_) if is_told => return None,
        Err(error) => {
            let Reason { text, .. } = error.into();
            return Some(format!("its documents cannot be read: {text}"));
        }
    };
    let lacks = lacking(store, stored, &image).filter(|digest| !corrupt.contains(digest));
    let lacks: Vec<String> = lacks.map(|digest| digest.to_string()).collect();
    (!lacks.is_empty()).then(|| format!("it has no layer {}", lacks.join(", ")))
}
