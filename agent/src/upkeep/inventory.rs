//! Everything in the store, with what it takes and who needs it.

use std::collections::{HashMap, HashSet};

use crate::digest::{DiffId, Digest};
use crate::store::{Image, Store, StoreError, StoredImage};

/// Something that takes space and may be shared by images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Content {
    /// A blob.
    Blob(Digest),
    /// The tree of a layer.
    Layer(DiffId),
}

/// All content that an image may need.
pub(super) type Needs = HashSet<Content>;

/// The store at a moment.
pub(super) struct Inventory {
    /// Each reference; one whose documents cannot be read needs only itself.
    pub(super) images: Vec<(StoredImage, Needs)>,
    /// Bytes of what is there.
    pub(super) sizes: HashMap<Content, u64>,
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
                    let needs = needs(store, &stored);
                    (stored, needs)
                })
                .collect(),
            sizes: blobs.chain(layers).collect(),
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

    /// Bytes of what is there of some content.
    pub(super) fn bytes<'a>(&self, content: impl IntoIterator<Item = &'a Content>) -> u64 {
        let sizes = content.into_iter().filter_map(|it| self.sizes.get(it));
        sizes.sum()
    }

    /// Bytes of what no image needs but those that are left out.
    pub(super) fn bytes_without(&self, left_out: impl Fn(&StoredImage) -> bool) -> u64 {
        let kept = self.images.iter().filter(|(stored, _)| !left_out(stored));
        let needed: HashSet<&Content> = kept.flat_map(|(_, needs)| needs).collect();
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

fn needs(store: &Store, stored: &StoredImage) -> Needs {
    let digest = stored.descriptor.digest;
    match store.image(&digest) {
        Ok(image) => needs_of(&image),
        Err(_) => [Content::Blob(digest)].into(),
    }
}

fn needs_of(image: &Image) -> Needs {
    let documents = [image.digest, image.manifest.config.digest];
    let layers = image
        .layers()
        .flat_map(|(blob, diff_id)| [Content::Blob(blob.digest), Content::Layer(*diff_id)]);
    documents
        .into_iter()
        .map(Content::Blob)
        .chain(layers)
        .collect()
}
