//! Lists everything in the store: its size, and the images that need it.

use std::collections::{HashMap, HashSet};

use crate::images::digest::{DiffId, Digest};
use crate::store::{Content, Needs, Store, StoreError, StoredImage};

/// The store at a moment.
pub(super) struct Inventory {
    /// Each reference, with what is known of its needs.
    pub(super) images: Vec<(StoredImage, Needs)>,
    /// Bytes of what is there.
    pub(super) sizes: HashMap<Content, u64>,
    /// What entries of the index need that are not locald's own.
    foreign: Needs,
    /// Why it is not known of everything whether something needs it.
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

    /// All layers that are extracted.
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

    /// Whether some content is surely needed by nothing.
    pub(super) fn is_garbage(&self, content: Content) -> bool {
        self.doubt.is_none()
            && !self.foreign.contains(&content)
            && !self.images.iter().any(|(_, it)| it.contains(&content))
    }

    /// Bytes of what is there of some content.
    pub(super) fn bytes<'a>(&self, content: impl IntoIterator<Item = &'a Content>) -> u64 {
        let sizes = content.into_iter().filter_map(|it| self.sizes.get(it));
        sizes.sum()
    }

    /// Bytes that only the images that are left out need; 0 if that is not
    /// known.
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

    /// Bytes of what no image needs.
    pub(super) fn unreferenced(&self) -> u64 {
        self.bytes_without(|_| false)
    }
}
