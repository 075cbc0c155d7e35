//! Lists all content of the store, its size, and the images that need it.

use std::collections::{HashMap, HashSet};

use crate::images::digest::{DiffId, Digest};
use crate::store::{Content, Needs, Store, StoreError, StoredImage};

/// The content of the store at one moment.
pub(super) struct Inventory {
    /// Each reference, with its needs as far as locald can determine them.
    pub(super) images: Vec<(StoredImage, Needs)>,
    /// The size of all content in bytes.
    pub(super) sizes: HashMap<Content, u64>,
    /// The needs of entries of other tools in the index.
    foreign: Needs,
    /// The first reason why locald cannot determine the needs of a reference.
    pub(super) doubt: Option<StoreError>,
}

impl Inventory {
    pub(super) fn take(store: &Store) -> Result<Self, StoreError> {
        let blobs = store.blobs()?.into_iter();
        let layers = store.layers()?.into_iter();
        let blobs = blobs.map(|(digest, size)| (Content::Blob(digest), size));
        let layers = layers.map(|(diff_id, size)| (Content::Layer(diff_id), size));
        let images = store.images()?.into_iter();
        Ok(Self {
            images: images
                .map(|stored| {
                    let needs = store.known_needs(&stored.descriptor);
                    (stored, needs)
                })
                .collect(),
            sizes: blobs.chain(layers).collect(),
            foreign: store.needs_of_foreign().unwrap_or_default(),
            doubt: store.needs_of_all().err(),
        })
    }

    /// All blobs.
    pub(super) fn blobs(&self) -> impl Iterator<Item = Digest> {
        self.sizes.keys().filter_map(|content| match content {
            Content::Blob(digest) => Some(*digest),
            Content::Layer(_) => None,
        })
    }

    /// All extracted layers.
    pub(super) fn layers(&self) -> impl Iterator<Item = DiffId> {
        self.sizes.keys().filter_map(|content| match content {
            Content::Layer(diff_id) => Some(*diff_id),
            Content::Blob(_) => None,
        })
    }

    /// The images that need some content.
    pub(super) fn users(&self, content: Content) -> Vec<StoredImage> {
        let users = self.images.iter().filter(|(_, it)| it.contains(&content));
        users.map(|(stored, _)| stored.clone()).collect()
    }

    /// Whether it is certain that no reference needs some content.
    pub(super) fn is_garbage(&self, content: Content) -> bool {
        self.doubt.is_none()
            && !self.foreign.contains(&content)
            && !self.images.iter().any(|(_, it)| it.contains(&content))
    }

    /// The total size of some content in bytes. Content that is missing counts
    /// as zero.
    pub(super) fn bytes<'a>(&self, content: impl IntoIterator<Item = &'a Content>) -> u64 {
        let sizes = content.into_iter().filter_map(|it| self.sizes.get(it));
        sizes.sum()
    }

    /// The bytes that only the left-out images need. Zero if locald cannot
    /// determine this.
    pub(super) fn bytes_without(&self, left_out: impl Fn(&StoredImage) -> bool) -> u64 {
        if self.doubt.is_some() {
            return 0;
        }
        let kept = self.images.iter().filter(|(stored, _)| !left_out(stored));
        let needed = kept.flat_map(|(_, needs)| needs).chain(&self.foreign);
        let needed: HashSet<&Content> = needed.collect();
        self.bytes(
            self.sizes
                .keys()
                .filter(|content| !needed.contains(content)),
        )
    }

    /// The bytes that no reference needs.
    pub(super) fn unreferenced(&self) -> u64 {
        self.bytes_without(|_| false)
    }
}
