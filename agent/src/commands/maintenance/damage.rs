//! Describes what can be damaged in the store.

use protocol::event::ImageRole;

use crate::buildpack_build::lifecycle::metadata::run_image_layers;
use crate::images::digest::{DiffId, Digest};
use crate::store::{Image, Store, StoredImage};

/// Something is not as it should be.
pub(super) struct Finding {
    pub(super) what: String,
    pub(super) reason: String,
    pub(super) damage: Damage,
    /// It could not be read: whether it is damaged is not known.
    pub(super) is_unread: bool,
    /// Surely nothing needs it.
    pub(super) is_garbage: bool,
    /// What needs it.
    pub(super) images: Vec<StoredImage>,
}

/// What is not as it should be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Damage {
    /// The content of a blob.
    Blob(Digest),
    /// The tree of a layer.
    Tree(DiffId),
    /// An image lacks something.
    Image,
}

/// Blobs of layers that come from no registry and are neither here nor
/// extracted.
pub(super) fn lacking(
    store: &Store,
    stored: &StoredImage,
    image: &Image,
) -> impl Iterator<Item = Digest> {
    let own = image.layers().skip(fetched_layers(stored, image));
    own.filter(|(blob, diff_id)| !store.has_blob(&blob.digest) && !store.has_layer(diff_id))
        .map(|(blob, _)| blob.digest)
}

/// Layers, base first, that come from a registry whenever they are needed: all
/// of an image that was pulled, those of the run image of one that was built.
pub(super) fn fetched_layers(stored: &StoredImage, image: &Image) -> usize {
    if stored.role != ImageRole::Application {
        return image.manifest.layers.len();
    }
    run_image_layers(image)
}
