//! Removes content that no reference needs, and content that builds have not
//! used for some time.
//!
//! Images that the user built, tagged or pulled stay: `locald image rm` removes
//! them. Content that locald fetched or cached for builds expires. A later
//! build fetches or makes it again.

use protocol::event::{ImageRole, PrunedItem, PrunedKind};
use protocol::request::PruneRequest;
use protocol::{Event, Failure, Reply};

use super::inventory::Inventory;
use crate::buildpack_build::BuildRecord;
use crate::images::reference::familiar;
use crate::request::store_use::alone;
use crate::request::stream::RequestStream;
use crate::store::{ProjectDir, Store, StoreError, StoredImage, disk_usage, seconds_since_epoch};

/// Removes content, or only reports what it would remove. Waits while a build
/// or a container runs.
pub async fn prune(
    store: &Store,
    request: &PruneRequest,
    stream: &RequestStream,
) -> Result<Reply, Failure> {
    let _alone = if request.dry_run {
        None
    } else {
        Some(alone(store, stream).await?)
    };
    let plan = PrunePlan::make(store, request)?;
    if !request.dry_run {
        // Sweeps first, because the removal of a reference needs free space.
        store.sweep()?;
    }
    let mut freed = 0;
    for (item, removal) in plan.items {
        if !request.dry_run && !removal.run(store)? {
            continue;
        }
        freed += item.bytes;
        stream.event(Event::Pruned(item)).await?;
    }
    if !request.dry_run {
        store.sweep()?;
    }
    Ok(Reply::PrunedBytes(freed))
}

/// The bytes that a prune would free.
pub(super) fn freed_by(store: &Store, request: &PruneRequest) -> Result<u64, StoreError> {
    let plan = PrunePlan::make(store, request)?;
    Ok(plan.items.iter().map(|(item, _)| item.bytes).sum())
}

/// How to remove an item.
enum Removal {
    /// The sweep removes it, because no reference needs it.
    Sweep,
    Image(String),
    Project(ProjectDir),
}

impl Removal {
    /// Removes the item. Returns false if it is a project that is being built.
    fn run(self, store: &Store) -> Result<bool, StoreError> {
        match self {
            Self::Sweep => Ok(true),
            Self::Image(name) => Ok(!store.remove_images(&[name])?.is_empty()),
            Self::Project(project) => project.remove(),
        }
    }
}

struct PrunePlan {
    items: Vec<(PrunedItem, Removal)>,
}

/// An item that prune may remove if it has not been used for some time.
struct Candidate {
    used: u64,
    name: String,
    removal: Removal,
}

impl PrunePlan {
    fn make(store: &Store, request: &PruneRequest) -> Result<Self, StoreError> {
        let mut inventory = Inventory::take(store)?;
        if let Some(doubt) = inventory.doubt.take() {
            return Err(doubt);
        }
        let projects = store.projects()?;
        let mut candidates = candidates(&inventory, projects);
        candidates.sort_by_key(|candidate| candidate.used);
        let oldest = request
            .unused_seconds
            .map(|seconds| seconds_since_epoch().saturating_sub(seconds));
        // Computes the total only if needed, because that walks through the
        // whole store.
        let mut total = request.keep_bytes.map_or(0, |_| store.usage());
        let mut plan = Self { items: Vec::new() };
        let mut gone: Vec<String> = Vec::new();
        let unreferenced = inventory.unreferenced();
        if unreferenced > 0 {
            total = total.saturating_sub(unreferenced);
            plan.add(
                PrunedKind::Unreferenced,
                String::new(),
                unreferenced,
                0,
                Removal::Sweep,
            );
        }
        // The bytes that the removal of an image frees depend on the images
        // removed before.
        let mut freed_by_images = unreferenced;
        for Candidate {
            used,
            name,
            removal,
        } in candidates
        {
            let is_old = oldest.is_some_and(|oldest| used <= oldest);
            let is_too_much = request.keep_bytes.is_some_and(|keep| total > keep);
            if !is_old && !is_too_much {
                continue;
            }
            let (kind, bytes) = match &removal {
                Removal::Project(project) => (PrunedKind::Project, disk_usage(project.path())),
                Removal::Image(stored) => {
                    gone.push(stored.clone());
                    let all = inventory.bytes_without(|stored| gone.contains(&stored.name));
                    let bytes = all - freed_by_images;
                    freed_by_images = all;
                    (PrunedKind::Image, bytes)
                }
                Removal::Sweep => continue,
            };
            total = total.saturating_sub(bytes);
            plan.add(kind, name, bytes, used, removal);
        }
        Ok(plan)
    }

    fn add(&mut self, kind: PrunedKind, name: String, bytes: u64, used: u64, removal: Removal) {
        let item = PrunedItem {
            kind,
            name,
            bytes,
            used,
        };
        self.items.push((item, removal));
    }
}

fn candidates(inventory: &Inventory, projects: Vec<ProjectDir>) -> Vec<Candidate> {
    let records: Vec<(Option<BuildRecord>, u64)> = projects
        .iter()
        .map(|project| {
            (
                BuildRecord::load(project.path()),
                BuildRecord::used(project.path()),
            )
        })
        .collect();
    let fetched = inventory.images.iter().filter(|(stored, _)| {
        matches!(
            stored.role,
            ImageRole::Builder | ImageRole::RunImage | ImageRole::Buildpack
        )
    });
    let images = fetched.map(|(stored, _)| Candidate {
        used: last_use(stored, &records),
        name: familiar(&stored.name),
        removal: Removal::Image(stored.name.clone()),
    });
    let images: Vec<Candidate> = images.collect();
    let kept = projects.into_iter().zip(records);
    let projects = kept.map(|(project, (record, used))| Candidate {
        used,
        name: record
            .map(|record| record.folder)
            .or_else(|| project.folder())
            .unwrap_or_default(),
        removal: Removal::Project(project),
    });
    images.into_iter().chain(projects).collect()
}

/// The last use of an image: the time of its pull, or of the last build of a
/// project that used it.
fn last_use(stored: &StoredImage, records: &[(Option<BuildRecord>, u64)]) -> u64 {
    let builds = records.iter().filter_map(|(record, used)| {
        let record = record.as_ref()?;
        let with = [record.builder, record.run_image].contains(&stored.descriptor.digest)
            || record.buildpackages.contains(&stored.descriptor.digest);
        with.then_some(*used)
    });
    builds.fold(stored.updated.max(stored.checked), u64::max)
}
