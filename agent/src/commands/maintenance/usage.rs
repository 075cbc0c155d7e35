//! Reports the space that each part of the store occupies.

use protocol::Reply;
use protocol::event::{ImageUsage, ProjectUsage, StoreUsage};

use super::inventory::Inventory;
use crate::buildpack_build::BuildRecord;
use crate::images::reference::familiar;
use crate::store::{ProjectDir, Store, StoreError, disk_usage};

/// Computes the usage of the store.
pub fn usage(store: &Store) -> Result<Reply, StoreError> {
    let inventory = Inventory::take(store)?;
    let unreferenced = inventory.unreferenced();
    let images = inventory.images.iter().map(|(stored, needs)| ImageUsage {
        name: familiar(&stored.name),
        role: stored.role,
        bytes: inventory.bytes(needs),
        own: inventory.bytes_without(|other| other.descriptor.digest == stored.descriptor.digest)
            - unreferenced,
    });
    let images = images.collect();
    let mut projects: Vec<ProjectUsage> = store.projects()?.iter().map(project).collect();
    projects.sort_by_key(|project| std::cmp::Reverse(project.used));
    let content = inventory.bytes(inventory.sizes.keys());
    let kept: u64 = projects.iter().map(|it| it.source + it.caches).sum();
    let temporary = disk_usage(&store.root().join("tmp"));
    Ok(Reply::StoreUsage(Box::new(StoreUsage {
        path: store.root().display().to_string(),
        total: content + kept + temporary,
        free: store.space()?.free,
        images,
        projects,
        unreferenced,
        temporary,
    })))
}

fn project(project: &ProjectDir) -> ProjectUsage {
    let record = BuildRecord::load(project.path());
    let source = disk_usage(&project.path().join("source"));
    ProjectUsage {
        folder: record
            .map(|record| record.folder)
            .or_else(|| project.folder())
            .unwrap_or_default(),
        source,
        caches: disk_usage(project.path()).saturating_sub(source),
        used: BuildRecord::used(project.path()),
    }
}
