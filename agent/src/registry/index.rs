//! Image indexes, and which of their images is this machine's.

use serde::Deserialize;

use super::RegistryError;
use super::remote::Remote;
use crate::digest::Digest;
use crate::media_type;
use crate::reference::ImageRef;
use crate::store::{Descriptor, Image, ImageConfig};

pub(super) const INDEX_TYPES: [&str; 2] = [media_type::INDEX, media_type::DOCKER_INDEX];
pub(super) const IMAGE_TYPES: [&str; 2] = [media_type::MANIFEST, media_type::DOCKER_MANIFEST];

#[derive(Deserialize)]
struct Index {
    manifests: Vec<IndexEntry>,
    /// Set by an image manifest only: a document that is both is refused.
    layers: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct IndexEntry {
    #[serde(flatten)]
    descriptor: Descriptor,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

pub(super) fn is_index(descriptor: &Descriptor, bytes: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<String>,
    }
    let typed = serde_json::from_slice::<Typed>(bytes).ok();
    let inside = typed.and_then(|typed| typed.media_type);
    let media_type = inside.unwrap_or_else(|| descriptor.media_type.clone());
    INDEX_TYPES.contains(&media_type.as_str())
}

/// The image of an index that is for this machine.
pub(super) fn choose(
    name: &ImageRef,
    remote: &Remote,
    bytes: &[u8],
) -> Result<Digest, RegistryError> {
    let what = format!("image {}", name.familiar());
    let index: Index =
        serde_json::from_slice(bytes).map_err(|error| remote.nonsense(&what, error.to_string()))?;
    if index.layers.is_some() {
        return Err(remote.nonsense(&what, "an index and an image at once"));
    }
    let platforms = || {
        let entries = index.manifests.iter();
        entries.filter_map(|entry| Some((entry.platform.as_ref()?, &entry.descriptor)))
    };
    let fits = |platform: &Platform| platform.os == "linux" && platform.architecture == arch();
    if let Some((_, descriptor)) = platforms().find(|(platform, _)| fits(platform)) {
        return Ok(descriptor.digest);
    }
    let known = platforms().filter(|(platform, _)| platform.os != "unknown");
    let names = known.map(|(platform, _)| format!("{}/{}", platform.os, platform.architecture));
    Err(RegistryError::Platform {
        image: name.familiar(),
        available: names.collect::<Vec<_>>().join(", "),
        wanted: format!("linux/{}", arch()),
    })
}

/// Whether a document is an index, and one whose entries can be read.
#[cfg(feature = "fuzzing")]
pub(crate) fn reads_index(descriptor: &Descriptor, bytes: &[u8]) -> bool {
    is_index(descriptor, bytes) && serde_json::from_slice::<Index>(bytes).is_ok()
}

pub(super) fn check_platform(name: &ImageRef, image: &Image) -> Result<(), RegistryError> {
    let ImageConfig {
        os, architecture, ..
    } = &image.config;
    if os == "linux" && architecture == arch() {
        return Ok(());
    }
    Err(RegistryError::Platform {
        image: name.familiar(),
        available: format!("{os}/{architecture}"),
        wanted: format!("linux/{}", arch()),
    })
}

/// This machine's architecture, as Go and so the image specification call it.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
