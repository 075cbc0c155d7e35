//! Manifests, indexes and configurations of images.

use std::path::Path;

use agent::fuzzing::{container, reads_builder, reads_index};
use agent::images::digest::Digest;
use agent::store::{Descriptor, Image, ImageConfig, Manifest};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What a registry answers when it is asked for a manifest. Nothing is an image
/// and an index at once.
pub(crate) fn manifest(bytes: &[u8]) {
    let digest = Digest::of(bytes);
    let descriptor = Descriptor {
        media_type: OCI_INDEX.to_owned(),
        digest,
        size: bytes.len() as u64,
    };
    let is_index = reads_index(&descriptor, bytes);
    let Ok(manifest) = Manifest::parse(&digest, bytes) else {
        return;
    };
    assert!(
        !is_index || manifest.media_type.is_none(),
        "an image and an index"
    );
    let config = br#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers"}}"#;
    if let Ok(image) = Image::new(digest, bytes.to_vec(), config.to_vec()) {
        assert_eq!(image.manifest.layers.len(), 0);
    }
}

/// From a configuration to the container in which its process would start. A
/// container that is let through has no path, name or word that would mislead
/// who starts it.
pub(crate) fn image_config(bytes: &[u8]) {
    let Ok(config) = ImageConfig::parse(&Digest::of(bytes), bytes) else {
        return;
    };
    reads_builder(&config.runtime());
    let Ok(spec) = container(config.runtime(), Path::new("/nowhere")) else {
        return;
    };
    if spec.validate().is_err() {
        return;
    }
    assert!(spec.cwd.is_absolute());
    assert!(spec.args.iter().all(|word| !word.contains('\0')));
    let plain = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
    assert!(spec.env.iter().all(|(name, _)| plain(name)));
    let mut names: Vec<_> = spec.env.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), spec.env.len(), "a variable comes twice");
}
