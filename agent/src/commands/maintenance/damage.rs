//! Describes damage in the store.

use protocol::event::ImageRole;

use crate::buildpack_build::lifecycle::metadata::run_image_layers;
use crate::images::digest::{DiffId, Digest};
use crate::store::{Image, Store, StoredImage};

/// A fault in the store.
pub(super) struct Finding {
    pub(super) what: String,
    pub(super) reason: String,
    pub(super) damage: Damage,
    /// Whether the content could not be read, so that it may be intact.
    pub(super) is_unread: bool,
    /// Whether it is certain that no reference needs the content.
    pub(super) is_garbage: bool,
    /// The images that need the content.
    pub(super) images: Vec<StoredImage>,
}

/// The damaged object.
#[derive(Debug, Clone, Copy)]
pub(super) enum Damage {
    /// The content of a blob.
    Blob(Digest),
    /// The tree of a layer.
    Tree(DiffId),
    /// An image that lacks a document or a layer.
    Image,
}

/// Blobs of layers that no registry has, and that the store has neither as a
/// blob nor as a tree.
pub(super) fn lacking(
    store: &Store,
    stored: &StoredImage,
    image: &Image,
) -> impl Iterator<Item = Digest> {
    let own = image.layers().skip(fetched_layers(stored, image));
    own.filter(|(blob, diff_id)| !store.has_blob(&blob.digest) && !store.has_layer(diff_id))
        .map(|(blob, _)| blob.digest)
}

/// How many layers, base first, locald can fetch from a registry: all of a
/// pulled image, those of the run image of a built one.
pub(super) fn fetched_layers(stored: &StoredImage, image: &Image) -> usize {
    if stored.role != ImageRole::Application {
        return image.manifest.layers.len();
    }
    run_image_layers(image)
}
