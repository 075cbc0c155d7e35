//! Reads image indexes and selects the image for this machine: OCI image
//! specification, "Image Index".

use serde::Deserialize;

use super::RegistryError;
use super::client::RegistryClient;
use super::platform::{Platform, architecture};
use crate::images::media_type;
use crate::images::reference::ImageRef;
use crate::request::abridged_list::some_of;
use crate::store::{Descriptor, Image, ImageConfig};

pub(super) const INDEX_TYPES: [&str; 2] = [media_type::INDEX, media_type::DOCKER_INDEX];
pub(super) const IMAGE_TYPES: [&str; 2] = [media_type::MANIFEST, media_type::DOCKER_MANIFEST];

#[derive(Deserialize)]
struct Index {
    /// Entries of all kinds, including those that locald does not know.
    manifests: Vec<serde_json::Value>,
    /// Only an image manifest has this member. locald refuses a document that
    /// is both.
    layers: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(flatten)]
    descriptor: Descriptor,
    platform: Option<Platform>,
    /// Set if the entry is not an image.
    artifact_type: Option<String>,
}

impl Entry {
    /// Parses an entry; absent if it is malformed or is not an image.
    fn read(value: &serde_json::Value) -> Option<Self> {
        let entry = Self::deserialize(value).ok()?;
        let kind = entry.descriptor.media_type.as_str();
        let may_be_image =
            kind.is_empty() || IMAGE_TYPES.contains(&kind) || INDEX_TYPES.contains(&kind);
        let artifact = entry.artifact_type.as_deref().unwrap_or_default();
        (may_be_image && artifact.is_empty()).then_some(entry)
    }
}

/// Whether a document is an index. The document's own media type decides, else
/// the registry's, else the members of the document.
pub(super) fn is_index(descriptor: &Descriptor, bytes: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
        config: Option<serde::de::IgnoredAny>,
    }
    let Ok(typed) = serde_json::from_slice::<Typed>(bytes) else {
        return false;
    };
    let inside = typed.media_type.filter(|kind| !kind.is_empty());
    let kind = inside.as_ref().unwrap_or(&descriptor.media_type).as_str();
    if INDEX_TYPES.contains(&kind) || IMAGE_TYPES.contains(&kind) {
        return INDEX_TYPES.contains(&kind);
    }
    typed.manifests.is_some() && typed.config.is_none()
}

/// Selects the image of an index for this machine. Of several, it is the one
/// for the highest level of the processor. If none names this machine, it is
/// the first one that names no platform.
pub(super) fn choose(
    name: &ImageRef,
    client: &RegistryClient,
    bytes: &[u8],
) -> Result<Descriptor, RegistryError> {
    let what = format!("image {}", name.familiar());
    let index: Index = serde_json::from_slice(bytes)
        .map_err(|error| client.protocol_error(&what, error.to_string()))?;
    if index.layers.is_some() {
        return Err(client.protocol_error(&what, "an index and an image at once"));
    }
    let entries: Vec<Entry> = index.manifests.iter().filter_map(Entry::read).collect();
    let suits = |entry: &&Entry| entry.platform.as_ref().map(Platform::suits_here);
    let fits = entries
        .iter()
        .filter(|entry| suits(entry).flatten().is_some());
    // `max_by_key` returns the last of equal entries, so reverse the order.
    let best = fits.rev().max_by_key(|entry| suits(entry).flatten());
    let silent = || entries.iter().find(|entry| entry.platform.is_none());
    if let Some(entry) = best.or_else(silent) {
        return Ok(entry.descriptor.clone());
    }
    let platforms = entries.iter().filter_map(|entry| entry.platform.as_ref());
    let names = some_of(platforms.filter_map(Platform::name));
    Err(RegistryError::Platform {
        image: name.familiar(),
        available: match names.as_str() {
            "" => "no machine".to_owned(),
            _ => names,
        },
        wanted: format!("linux/{}", architecture()),
    })
}

/// Whether a document is an index with valid entries.
#[cfg(feature = "fuzzing")]
pub(crate) fn reads_index(descriptor: &Descriptor, bytes: &[u8]) -> bool {
    is_index(descriptor, bytes)
        && serde_json::from_slice::<Index>(bytes)
            .is_ok_and(|index| index.manifests.iter().any(|it| Entry::read(it).is_some()))
}

/// Checks that an image is for this machine. Accepts an image that names no
/// platform, as packaged buildpacks do.
pub(super) fn check_platform(name: &ImageRef, image: &Image) -> Result<(), RegistryError> {
    let ImageConfig {
        os,
        architecture: arch,
        ..
    } = &image.config;
    let fits = |said: &str, here: &str| said.is_empty() || said == here;
    if fits(os, "linux") && fits(arch, architecture()) {
        return Ok(());
    }
    let available = Platform::new(os, arch).name();
    Err(RegistryError::Platform {
        image: name.familiar(),
        available: available.unwrap_or_default(),
        wanted: format!("linux/{}", architecture()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::digest::Digest;

    #[test]
    fn an_index_is_known_by_what_it_says() {
        let cases = [
            (
                r#"{"mediaType":"application/vnd.oci.image.index.v1+json"}"#,
                "",
                true,
            ),
            (r#"{"manifests":[]}"#, media_type::INDEX, true),
            (
                r#"{"mediaType":"","manifests":[]}"#,
                media_type::DOCKER_INDEX,
                true,
            ),
            (
                r#"{"mediaType":null,"manifests":[]}"#,
                "application/json",
                true,
            ),
            (r#"{"manifests":[]}"#, "", true),
            (r#"{"manifests":[],"config":{}}"#, "", false),
            (
                r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#,
                media_type::INDEX,
                false,
            ),
            (r#"{"config":{},"layers":[]}"#, "text/plain", false),
            ("<html>", "", false),
        ];
        for (bytes, announced, expected) in cases {
            let descriptor = Descriptor {
                media_type: announced.to_owned(),
                digest: Digest::of(bytes.as_bytes()),
                size: 0,
            };
            assert_eq!(
                is_index(&descriptor, bytes.as_bytes()),
                expected,
                "{bytes} {announced}"
            );
        }
    }
}
