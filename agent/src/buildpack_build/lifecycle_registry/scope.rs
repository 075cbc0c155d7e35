//! Decides which images and blobs one build may read and write.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{BlobForwarder, Fetch, RegistryContent};
use crate::images::digest::Digest;
use crate::images::reference::ImageRef;
use crate::store::{BlobWriter, Descriptor, Image, Store};

/// The images of one build.
#[derive(Debug, Default)]
pub struct Scope {
    readable: HashMap<Repository, HashMap<String, Descriptor>>,
    writable: HashMap<Repository, HashMap<String, ImageRef>>,
    blobs: HashMap<Digest, u64>,
}

/// Registry and repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Repository {
    pub(super) registry: String,
    pub(super) path: String,
}

impl Repository {
    fn of(image: &ImageRef) -> Self {
        Self {
            registry: image.registry().to_owned(),
            path: image.repository().to_owned(),
        }
    }
}

impl Scope {
    /// Permits reads of an image and its blobs, including blobs that the store
    /// lacks.
    pub fn read(&mut self, name: &ImageRef, descriptor: &Descriptor, image: &Image) {
        let versions = self.readable.entry(Repository::of(name)).or_default();
        versions.insert(name.version(), descriptor.clone());
        versions.insert(descriptor.digest.to_string(), descriptor.clone());
        self.blobs
            .insert(image.manifest.config.digest, image.manifest.config.size);
        for layer in &image.manifest.layers {
            self.blobs.insert(layer.digest, layer.size);
        }
    }

    /// Permits writes of an image under a reference.
    pub fn write(&mut self, name: &ImageRef) {
        let versions = self.writable.entry(Repository::of(name)).or_default();
        versions.insert(name.version(), name.clone());
    }
}

/// The state of the registry.
pub(super) struct State {
    pub(super) store: Store,
    pub(super) fetch: Fetch,
    scope: Scope,
    blob_forwarder: Option<BlobForwarder>,
    written: Mutex<Written>,
}

/// An upload in progress; absent while the registry serves its last request.
pub(super) type Upload = Arc<tokio::sync::Mutex<Option<BlobWriter>>>;

#[derive(Default)]
pub(super) struct Written {
    pub(super) uploads: HashMap<String, Upload>,
    pub(super) next_upload: u64,
    blobs: HashMap<Digest, u64>,
    manifests: HashMap<(Repository, String), Descriptor>,
    staged: HashMap<ImageRef, Descriptor>,
}

impl State {
    pub(super) fn new(content: RegistryContent) -> Self {
        Self {
            store: content.store,
            fetch: content.fetch,
            scope: content.scope,
            blob_forwarder: content.blob_forwarder,
            written: Mutex::default(),
        }
    }

    pub(super) fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take_staged(&self) -> Vec<(ImageRef, Descriptor)> {
        std::mem::take(&mut self.written().staged)
            .into_iter()
            .collect()
    }

    /// Whether the build uses a repository.
    pub(super) fn knows(&self, repository: &Repository) -> bool {
        self.scope.readable.contains_key(repository) || self.may_write(repository)
    }

    pub(super) fn may_write(&self, repository: &Repository) -> bool {
        self.scope.writable.contains_key(repository)
    }

    /// The size in bytes of a blob that the build may read.
    pub(super) fn blob_size(&self, digest: &Digest) -> Option<u64> {
        let known = self.scope.blobs.get(digest).copied();
        known.or_else(|| self.written().blobs.get(digest).copied())
    }

    pub(super) fn add_blob(&self, digest: Digest, size: u64) {
        self.written().blobs.insert(digest, size);
        if let Some(blob_forwarder) = &self.blob_forwarder {
            blob_forwarder(digest, size);
        }
    }

    /// The manifest of a tag or digest.
    pub(super) fn manifest(&self, repository: &Repository, version: &str) -> Option<Descriptor> {
        let key = (repository.clone(), version.to_owned());
        let written = self.written().manifests.get(&key).cloned();
        written.or_else(|| self.scope.readable.get(repository)?.get(version).cloned())
    }

    /// Records a pushed manifest. Returns false if the build may not write its
    /// reference.
    pub(super) fn stage(
        &self,
        repository: &Repository,
        version: &str,
        manifest: &Descriptor,
    ) -> bool {
        let Some(names) = self.scope.writable.get(repository) else {
            return false;
        };
        let mut written = self.written();
        match names.get(version) {
            Some(name) => {
                written.staged.insert(name.clone(), manifest.clone());
            }
            None if version == manifest.digest.to_string() => {}
            None => return false,
        }
        let versions: HashSet<String> = [version.to_owned(), manifest.digest.to_string()].into();
        for version in versions {
            let key = (repository.clone(), version);
            written.manifests.insert(key, manifest.clone());
        }
        true
    }
}
