//! Parses manifests and configurations: OCI image specification, and Docker's
//! image manifest version 2, schema 2.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::{DOCUMENT_CAP, Store, StoreError};
use crate::images::digest::{DiffId, Digest};
use crate::images::media_type;
use crate::store::layer::Compression;

/// The most layers that an image may have. overlayfs supports at most 500.
const LAYER_CAP: usize = 500;
const MANIFEST_TYPES: [&str; 2] = [media_type::MANIFEST, media_type::DOCKER_MANIFEST];
/// The last four are types that old registries wrote. Docker accepts them, too.
const CONFIG_TYPES: [&str; 6] = [
    media_type::CONFIG,
    media_type::DOCKER_CONFIG,
    "application/octet-stream",
    "application/json",
    "text/html",
    "",
];

/// A descriptor: OCI image specification, "OCI Content Descriptors".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the content.
    #[serde(default, deserialize_with = "or_default")]
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
}

/// An image manifest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    schema_version: u64,
    /// Absent in some OCI manifests.
    pub media_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, base first.
    #[serde(deserialize_with = "or_default")]
    pub layers: Vec<Descriptor>,
    /// Only an image index has this member. locald refuses a document that is
    /// both.
    #[serde(default)]
    manifests: Option<serde_json::Value>,
}

/// The parts of an image configuration that locald uses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ImageConfig {
    /// The operating system: `linux`.
    #[serde(default, deserialize_with = "or_default")]
    pub os: String,
    /// The processor architecture, as Go names it: `amd64`, `arm64`, …
    #[serde(default, deserialize_with = "or_default")]
    pub architecture: String,
    /// The settings for a container of the image.
    #[serde(default)]
    pub config: Option<RuntimeConfig>,
    rootfs: RootFs,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Option<Vec<DiffId>>,
}

/// The `config` member of an image configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RuntimeConfig {
    /// `user`, `uid`, `user:group` or `uid:gid`.
    pub user: Option<String>,
    /// Environment variables, each as `NAME=value`.
    #[serde(deserialize_with = "list")]
    pub env: Option<Vec<String>>,
    /// The program and its first arguments.
    #[serde(deserialize_with = "words")]
    pub entrypoint: Option<Vec<String>>,
    /// Further arguments.
    #[serde(deserialize_with = "words")]
    pub cmd: Option<Vec<String>>,
    /// The working directory of the program.
    pub working_dir: Option<String>,
    /// Mount points of volumes, as the keys of a map.
    pub volumes: Option<BTreeMap<String, serde_json::Value>>,
    /// Labels.
    #[serde(deserialize_with = "labels")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Name or number of the signal that asks the program to end.
    pub stop_signal: Option<serde_json::Value>,
}

/// Reads null as the empty value. Go's parsers do this, and most documents were
/// written for them.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let list: Option<Vec<Option<String>>> = Option::deserialize(deserializer)?;
    Ok(list.map(|list| list.into_iter().map(Option::unwrap_or_default).collect()))
}

fn labels<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    let labels: Option<BTreeMap<String, Option<String>>> = Option::deserialize(deserializer)?;
    let filled = |(name, value): (String, Option<String>)| (name, value.unwrap_or_default());
    Ok(labels.map(|labels| labels.into_iter().map(filled).collect()))
}

/// Reads a list of words. Like Docker, reads a single word as a list of one.
fn words<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        Many(Vec<Option<String>>),
        One(String),
    }
    Ok(Option::deserialize(from)?.map(|words| match words {
        Words::Many(words) => words.into_iter().map(Option::unwrap_or_default).collect(),
        Words::One(word) => vec![word],
    }))
}

/// A validated image. Each layer has a diffID.
#[derive(Debug, Clone)]
pub struct Image {
    /// Digest of the manifest.
    pub digest: Digest,
    /// The bytes of the manifest, unchanged.
    pub manifest_bytes: Vec<u8>,
    /// The bytes of the configuration, unchanged.
    pub config_bytes: Vec<u8>,
    /// The manifest.
    pub manifest: Manifest,
    /// The configuration.
    pub config: ImageConfig,
}

/// The only schema version that OCI and Docker still use.
const SCHEMA_VERSION: u64 = 2;

impl Manifest {
    /// Parses and checks a manifest.
    pub fn parse(digest: &Digest, bytes: &[u8]) -> Result<Self, StoreError> {
        let refuse = |reason: String| StoreError::Document {
            what: "manifest",
            digest: *digest,
            reason,
        };
        let mut manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
        manifest.media_type = manifest.media_type.filter(|kind| !kind.is_empty());
        if manifest.schema_version != SCHEMA_VERSION {
            let version = manifest.schema_version;
            return Err(refuse(format!("its schema version is {version}")));
        }
        if manifest.manifests.is_some() {
            return Err(refuse("it is an image and an index at once".to_owned()));
        }
        let known = |kind: &String| MANIFEST_TYPES.contains(&kind.as_str());
        if let Some(kind) = manifest.media_type.as_ref().filter(|kind| !known(kind)) {
            return Err(refuse(format!("its media type is {kind:?}")));
        }
        if !CONFIG_TYPES.contains(&manifest.config.media_type.as_str()) {
            let kind = &manifest.config.media_type;
            return Err(refuse(format!("its configuration has the type {kind:?}")));
        }
        if manifest.layers.len() > LAYER_CAP {
            return Err(refuse(format!("it has {} layers", manifest.layers.len())));
        }
        for layer in &manifest.layers {
            Compression::of_media_type(&layer.media_type)
                .ok_or_else(|| refuse(format!("a layer has the type {:?}", layer.media_type)))?;
        }
        Ok(manifest)
    }
}

impl ImageConfig {
    /// Parses a configuration.
    pub fn parse(digest: &Digest, bytes: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(bytes).map_err(|error| StoreError::Document {
            what: "configuration",
            digest: *digest,
            reason: error.to_string(),
        })
    }

    /// DiffIDs of the layers, base first.
    pub fn diff_ids(&self) -> &[DiffId] {
        self.rootfs.diff_ids.as_deref().unwrap_or_default()
    }

    /// The settings for a container of the image.
    pub fn runtime(&self) -> RuntimeConfig {
        self.config.clone().unwrap_or_default()
    }
}

impl RuntimeConfig {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.as_ref()?.get(name).map(String::as_str)
    }

    /// The environment variables as pairs of name and value. Skips entries
    /// without `=`.
    pub fn environment(&self) -> impl Iterator<Item = (String, String)> {
        self.env
            .iter()
            .flatten()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    /// The value of a variable. If the variable occurs twice, the last value
    /// applies.
    pub fn variable(&self, name: &str) -> Option<String> {
        let pairs = self.environment().filter(|(other, _)| other == name);
        pairs.last().map(|(_, value)| value)
    }
}

impl Image {
    /// Combines and validates the documents of an image.
    pub fn new(
        digest: Digest,
        manifest_bytes: Vec<u8>,
        config_bytes: Vec<u8>,
    ) -> Result<Self, StoreError> {
        let manifest = Manifest::parse(&digest, &manifest_bytes)?;
        let config = ImageConfig::parse(&manifest.config.digest, &config_bytes)?;
        let (layers, diff_ids) = (manifest.layers.len(), config.diff_ids().len());
        if layers != diff_ids {
            return Err(StoreError::Document {
                what: "configuration",
                digest: manifest.config.digest,
                reason: format!("it has {diff_ids} diffIDs for {layers} layers"),
            });
        }
        Ok(Self {
            digest,
            manifest_bytes,
            config_bytes,
            manifest,
            config,
        })
    }

    /// Each layer with its diffID, base first.
    pub fn layers(&self) -> impl Iterator<Item = (&Descriptor, &DiffId)> {
        self.manifest.layers.iter().zip(self.config.diff_ids())
    }

    /// The size of the compressed layers and the configuration in bytes.
    pub fn size(&self) -> u64 {
        let layers = self.manifest.layers.iter().map(|layer| layer.size);
        layers.fold(self.manifest.config.size, u64::saturating_add)
    }
}

impl Store {
    /// The documents of a stored image.
    pub fn image(&self, digest: &Digest) -> Result<Image, StoreError> {
        let manifest_bytes = self.read_blob(digest, DOCUMENT_CAP)?;
        let manifest = Manifest::parse(digest, &manifest_bytes)?;
        let config_bytes = self.read_blob(&manifest.config.digest, DOCUMENT_CAP)?;
        Image::new(*digest, manifest_bytes, config_bytes)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn digest() -> Digest {
        Digest::of(b"")
    }

    fn manifest(extra: &str, layer_type: &str) -> String {
        let digest = digest();
        format!(
            r#"{{"schemaVersion":2,{extra}"config":{{"mediaType":"{}","digest":"{digest}","size":2}},
            "layers":[{{"mediaType":"{layer_type}","digest":"{digest}","size":3}}]}}"#,
            CONFIG_TYPES[0]
        )
    }

    #[test]
    fn a_manifest_is_read() {
        let parsed =
            Manifest::parse(&digest(), manifest("", media_type::LAYER_GZIP).as_bytes()).unwrap();
        assert_eq!(parsed.layers[0].size, 3);
    }

    #[test]
    fn ambiguous_and_odd_manifests_are_refused() {
        let both = manifest(r#""manifests":[],"#, media_type::LAYER_GZIP);
        let odd = manifest("", "text/plain");
        let negative = manifest("", media_type::LAYER_GZIP).replace("\"size\":3", "\"size\":-3");
        for text in [both, odd, negative] {
            assert!(
                Manifest::parse(&digest(), text.as_bytes()).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_null_or_empty_is_not_there() {
        let text = manifest(r#""mediaType":"","#, media_type::LAYER_GZIP);
        let parsed = Manifest::parse(&digest(), text.as_bytes()).unwrap();
        assert_eq!(parsed.media_type, None);
        for kind in ["application/octet-stream", ""] {
            let text = text.replace(CONFIG_TYPES[0], kind);
            Manifest::parse(&digest(), text.as_bytes()).unwrap();
        }
        let text = r#"{"os":null,"architecture":null,"rootfs":{"diff_ids":null},"config":
            {"User":null,"Env":["A=1",null],"Cmd":null,"Labels":{"a":null,"b":"c"}}}"#;
        let config = ImageConfig::parse(&digest(), text.as_bytes()).unwrap();
        let runtime = config.runtime();
        assert_eq!((config.os.as_str(), runtime.label("b")), ("", Some("c")));
        assert_eq!(runtime.label("a"), Some(""));
        assert_eq!(runtime.environment().count(), 1);
    }

    #[test]
    fn more_layers_than_can_be_stacked_are_refused() {
        let text = manifest("", media_type::LAYER_GZIP);
        let (before, layer) = text.split_once("\"layers\":[").unwrap();
        let layer = layer.strip_suffix("]}").unwrap();
        let parsed = |count| {
            let layers = vec![layer; count].join(",");
            let text = format!("{before}\"layers\":[{layers}]}}");
            Manifest::parse(&digest(), text.as_bytes())
        };
        assert_eq!(parsed(500).unwrap().layers.len(), 500);
        for count in [501, 100_000] {
            let error = parsed(count).unwrap_err().to_string();
            assert!(error.contains(&format!("{count} layers")), "{error}");
        }
    }

    #[test]
    fn how_a_container_is_started_is_written_in_many_ways() {
        let parsed = |text: &str| {
            let text =
                format!(r#"{{"rootfs":{{}},"created":"today","history":[],"config":{text}}}"#);
            ImageConfig::parse(&digest(), text.as_bytes())
                .unwrap()
                .runtime()
        };
        assert_eq!(parsed("null"), RuntimeConfig::default());
        let nothing = r#"{"User":null,"Env":null,"Entrypoint":null,"Cmd":null,"WorkingDir":null,
            "Volumes":null,"ExposedPorts":null,"Unknown":{}}"#;
        assert_eq!(parsed(nothing), RuntimeConfig::default());
        let runtime = parsed(
            r#"{"Entrypoint":"/start","Cmd":["a",""],"Volumes":{"/v":{},"w":null},
            "Env":["A=1","NONE","A=2=3","B="]}"#,
        );
        assert_eq!(runtime.entrypoint.as_deref().unwrap(), ["/start"]);
        assert_eq!(runtime.cmd.as_deref().unwrap(), ["a", ""]);
        let volumes = runtime.volumes.as_ref().unwrap();
        assert!(volumes.keys().eq(["/v", "w"]));
        let names: Vec<String> = runtime.environment().map(|(name, _)| name).collect();
        assert_eq!(names, ["A", "A", "B"]);
        assert_eq!(runtime.variable("A").unwrap(), "2=3");
    }

    #[test]
    fn layers_and_diff_ids_must_pair_up() {
        let config =
            r#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}"#;
        let error = Image::new(
            digest(),
            manifest("", media_type::LAYER_GZIP).into(),
            config.into(),
        )
        .unwrap_err();
        assert!(
            error.to_string().contains("0 diffIDs for 1 layers"),
            "{error}"
        );
    }
}
