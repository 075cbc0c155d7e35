//! Parses the metadata about the run image that the lifecycle writes into
//! images: CNB platform specification, "io.buildpacks.lifecycle.metadata".

use protocol::event::ImageRole;

use crate::images::digest::Digest;
use crate::images::reference::ImageRef;
use crate::store::{Image, Store, StoredImage};

/// The image from which locald can fetch layers that the store lacks. For a
/// pulled image it is the image itself, for a built image its run image.
pub(crate) fn origin(stored: &StoredImage, image: &Image) -> Option<ImageRef> {
    if stored.role != ImageRole::Application {
        return stored.name.parse().ok();
    }
    let run_image = run_image(image);
    let reference = run_image["reference"].as_str();
    let named = run_image["image"].as_str();
    reference.or(named)?.parse().ok()
}

/// How many layers of a built image, base first, belong to its run image.
pub(crate) fn run_image_layers(image: &Image) -> usize {
    let run_image = run_image(image);
    let top = run_image["topLayer"].as_str();
    let top = top.and_then(|top| top.parse::<Digest>().ok());
    let mut layers = image.config.diff_ids().iter();
    let position = layers.position(|diff_id| Some(diff_id.0) == top);
    position.map_or(0, |position| position + 1)
}

/// Whether the store has the archives of all layers that the build of an image
/// has made. No registry need have them.
pub(crate) fn is_complete(store: &Store, image: &Image) -> bool {
    let mut own = image.manifest.layers.iter().skip(run_image_layers(image));
    own.all(|layer| store.has_blob(&layer.digest))
}

/// The member of the label that describes the run image; null if there is none.
fn run_image(image: &Image) -> serde_json::Value {
    let runtime = image.config.runtime();
    let metadata = runtime.label("io.buildpacks.lifecycle.metadata");
    let mut metadata: serde_json::Value =
        serde_json::from_str(metadata.unwrap_or_default()).unwrap_or_default();
    let run_image = metadata.get_mut("runImage");
    run_image.map(serde_json::Value::take).unwrap_or_default()
}
