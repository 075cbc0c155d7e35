//! Parses and writes the content of `index.json`: OCI image layout
//! specification.
//!
//! Other tools add entries of their own: of unknown kinds, or without a name.
//! locald keeps the entries that it cannot parse.

use std::collections::BTreeMap;

use protocol::event::ImageRole;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::StoredImage;
use crate::images::media_type;
use crate::store::Descriptor;

/// OCI image layout: the annotation that holds a reference.
const NAME: &str = "org.opencontainers.image.ref.name";
/// Why the image is here.
const ROLE: &str = "dev.locald.role";
/// Seconds since the epoch when the reference was last set.
const UPDATED: &str = "dev.locald.updated";
/// Seconds since the epoch when a registry last confirmed the reference.
const CHECKED: &str = "dev.locald.checked";

/// An index, parsed.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) struct Document {
    /// Entries that have a name.
    pub(in crate::store) images: Vec<StoredImage>,
    /// All other entries.
    pub(in crate::store) foreign: Vec<Value>,
    fields: Map<String, Value>,
}

#[derive(Deserialize)]
struct Raw {
    manifests: Value,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    descriptor: Descriptor,
    annotations: BTreeMap<String, String>,
}

impl Document {
    /// A document without entries.
    pub(super) fn empty() -> Self {
        let fields = [
            ("schemaVersion".to_owned(), json!(2)),
            ("mediaType".to_owned(), json!(media_type::INDEX)),
        ];
        Self {
            images: Vec::new(),
            foreign: Vec::new(),
            fields: fields.into_iter().collect(),
        }
    }

    /// Parses the content of the file.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let raw: Raw = serde_json::from_slice(bytes)?;
        let entries = match raw.manifests {
            Value::Array(entries) => entries,
            // Go writes an empty list as null.
            Value::Null => Vec::new(),
            _ => return Err(serde_json::Error::custom("its `manifests` is not a list")),
        };
        let (mut images, mut foreign) = (Vec::new(), Vec::new());
        for entry in entries {
            match image(&entry) {
                Some(image) => images.push(image),
                None => foreign.push(entry),
            }
        }
        Ok(Self {
            images,
            foreign,
            fields: raw.fields,
        })
    }

    /// The content of the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut images: Vec<&StoredImage> = self.images.iter().collect();
        images.sort_by(|a, b| a.name.cmp(&b.name));
        let entries = images.into_iter().map(|image| json!(entry(image)));
        let manifests: Vec<Value> = entries.chain(self.foreign.iter().cloned()).collect();
        let mut fields = self.fields.clone();
        fields.insert("manifests".to_owned(), manifests.into());
        Value::Object(fields).to_string().into()
    }
}

fn image(entry: &Value) -> Option<StoredImage> {
    let entry = Entry::deserialize(entry).ok()?;
    let text = |key: &str| entry.annotations.get(key).map(String::as_str);
    let number = |key: &str| text(key).and_then(|text| text.parse().ok()).unwrap_or(0);
    Some(StoredImage {
        name: text(NAME)?.to_owned(),
        role: role_from(text(ROLE).unwrap_or_default()),
        updated: number(UPDATED),
        checked: number(CHECKED),
        descriptor: entry.descriptor,
    })
}

fn entry(image: &StoredImage) -> Entry {
    let annotations = [
        (NAME, image.name.clone()),
        (ROLE, role_name(image.role).to_owned()),
        (UPDATED, image.updated.to_string()),
        (CHECKED, image.checked.to_string()),
    ];
    Entry {
        descriptor: image.descriptor.clone(),
        annotations: annotations
            .map(|(key, value)| (key.to_owned(), value))
            .into(),
    }
}

fn role_name(role: ImageRole) -> &'static str {
    match role {
        ImageRole::Application => "application",
        ImageRole::Builder => "builder",
        ImageRole::RunImage => "run-image",
        ImageRole::Other => "other",
        ImageRole::Buildpack => "buildpack",
    }
}

fn role_from(name: &str) -> ImageRole {
    match name {
        "application" => ImageRole::Application,
        "buildpack" => ImageRole::Buildpack,
        "builder" => ImageRole::Builder,
        "run-image" => ImageRole::RunImage,
        _ => ImageRole::Other,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::images::digest::Digest;

    #[test]
    fn what_is_not_understood_is_kept() {
        let digest = Digest::of(b"");
        let text = json!({
            "schemaVersion": 2,
            "annotations": {"of": "another tool"},
            "manifests": [
                {"mediaType": "application/vnd.example", "digest": digest, "size": 0,
                 "artifactType": "application/vnd.example", "annotations": {"a": "b"}},
                {"mediaType": media_type::MANIFEST, "digest": digest, "size": 0,
                 "annotations": {NAME: "docker.io/library/web:latest"}},
                {"mediaType": media_type::MANIFEST, "digest": "sha512:00", "size": 0,
                 "annotations": {NAME: "other"}},
            ],
        });
        let document = Document::parse(text.to_string().as_bytes()).unwrap();
        assert_eq!(document.images.len(), 1);
        assert_eq!(document.foreign.len(), 2);
        let written: Value = serde_json::from_slice(&document.to_bytes()).unwrap();
        assert_eq!(written["annotations"], text["annotations"]);
        assert_eq!(written["manifests"][1], text["manifests"][0]);
        assert_eq!(written["manifests"][2], text["manifests"][2]);
        let empty = br#"{"schemaVersion":2,"manifests":null}"#;
        assert!(Document::parse(empty).unwrap().images.is_empty());
        for damaged in ["", "{}", "[]", "null", r#"{"manifests":{}}"#] {
            assert!(Document::parse(damaged.as_bytes()).is_err(), "{damaged}");
        }
    }
}
