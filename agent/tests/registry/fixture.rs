//! An image, a registry that serves it, and a client.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent::images::digest::Digest;
use agent::registry::{Registry, Want};
use agent::request::stream::{Incoming, Outgoing, RequestStream};
use agent::store::Store;
use protocol::event::{ImageRole, PullEvent};
use protocol::input::Credential;
use protocol::request::{PullPolicy, RegistryAccess};
use protocol::{Event, Failure, Input};
use serde_json::{Value, json};

use crate::stand_in::{Answer, Asked, StandIn};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image of some layers.
#[derive(Debug, Clone)]
pub(crate) struct TestImage {
    pub(crate) manifest: Value,
    pub(crate) blobs: HashMap<String, Vec<u8>>,
}

/// A layer with one file.
pub(crate) fn layer(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, content).unwrap();
    archive.into_inner().unwrap()
}

/// Bytes that do not compress.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_le_bytes()[7]
    };
    (0..length).map(|_| next()).collect()
}

/// An architecture as images call it.
pub(crate) fn go_name(architecture: &str) -> &str {
    match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl TestImage {
    /// Three layers: gzip, zstd, and plain.
    pub(crate) fn new() -> Self {
        Self::for_platform("linux", std::env::consts::ARCH)
    }

    pub(crate) fn for_platform(os: &str, architecture: &str) -> Self {
        let architecture = go_name(architecture);
        let plain = [
            layer("gzip", &noise(300_000)),
            layer("zstd", b"zstd"),
            layer("plain", b"plain"),
        ];
        let gzip = {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&plain[0]).unwrap();
            encoder.finish().unwrap()
        };
        let packed = [
            (format!("{LAYER}+gzip"), gzip),
            (
                format!("{LAYER}+zstd"),
                zstd::encode_all(&*plain[1], 1).unwrap(),
            ),
            (LAYER.to_owned(), plain[2].clone()),
        ];
        let diff_ids: Vec<_> = plain.iter().map(|it| Digest::of(it).to_string()).collect();
        let config = json!({
            "os": os,
            "architecture": architecture,
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let mut image = Self {
            manifest: json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": []}),
            blobs: HashMap::new(),
        };
        let config_type = "application/vnd.oci.image.config.v1+json";
        image.manifest["config"] = image.add(config_type, config.to_string().into());
        for (media_type, bytes) in packed {
            let descriptor = image.add(&media_type, bytes);
            image.manifest["layers"]
                .as_array_mut()
                .unwrap()
                .push(descriptor);
        }
        image
    }

    fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = Digest::of(&bytes).to_string();
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        self.blobs.insert(digest, bytes);
        descriptor
    }

    /// Changes the configuration, and what the manifest says about it.
    pub(crate) fn with_config(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let digest = self.manifest["config"]["digest"]
            .as_str()
            .unwrap()
            .to_owned();
        let mut config: Value = serde_json::from_slice(&self.blobs[&digest]).unwrap();
        change(&mut config);
        let media_type = self.manifest["config"]["mediaType"]
            .as_str()
            .unwrap()
            .to_owned();
        self.manifest["config"] = self.add(&media_type, config.to_string().into());
        self
    }

    /// Digest of the blob of a layer.
    pub(crate) fn layer(&self, number: usize) -> String {
        self.manifest["layers"][number]["digest"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// What an honest registry answers.
    pub(crate) fn answer(&self, asked: &Asked) -> Answer {
        let (_, version) = asked.path.rsplit_once('/').unwrap();
        if asked.path.contains("/manifests/") {
            let manifest = self.manifest.to_string();
            let digest = Digest::of(manifest.as_bytes()).to_string();
            return Answer::new(200, manifest)
                .header("Content-Type", MANIFEST)
                .header("Docker-Content-Digest", digest);
        }
        let Some(blob) = self.blobs.get(version) else {
            return Answer::new(404, "");
        };
        match asked.from {
            Some(from) => Answer::new(206, &blob[from..]).header(
                "Content-Range",
                format!("bytes {from}-{}/{}", blob.len() - 1, blob.len()),
            ),
            None => Answer::new(200, blob.clone()),
        }
    }

    /// A registry that answers so, unless a test has another answer.
    pub(crate) fn serve(
        &self,
        other: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static,
    ) -> StandIn {
        let image = self.clone();
        StandIn::start(move |asked| other(asked).unwrap_or_else(|| image.answer(asked)))
    }
}

/// What an honest registry answers that has nothing yet and takes everything.
/// Uploads go to `uploads`.
pub(crate) fn accept(asked: &Asked, uploads: &str) -> Answer {
    match asked.line() {
        ("HEAD", _) => Answer::new(404, ""),
        ("POST", _) => Answer::new(202, "").header("Location", uploads),
        ("PUT" | "DELETE", _) => Answer::new(201, ""),
        (method, path) => panic!("{method} {path}"),
    }
}

/// A store of its own, and what the host was told.
pub(crate) struct Client {
    pub(crate) store: Store,
    _directory: tempfile::TempDir,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    credential: Option<Credential>,
    pub(crate) access: RegistryAccess,
    pub(crate) idle: Duration,
}

impl Client {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            store: Store::open(&directory.path().join("store")).unwrap(),
            _directory: directory,
            events: Arc::default(),
            credential: None,
            access: RegistryAccess::default(),
            idle: Duration::from_mins(1),
        }
    }

    pub(crate) fn with_account(username: &str, password: &str) -> Self {
        Self {
            credential: Some(Credential::Basic {
                username: username.to_owned(),
                password: password.to_owned(),
            }),
            ..Self::new()
        }
    }

    pub(crate) fn with_identity(token: &str) -> Self {
        Self {
            credential: Some(Credential::Identity {
                token: token.to_owned(),
            }),
            ..Self::new()
        }
    }

    /// A client whose host answers for credentials.
    pub(crate) fn registry(&self) -> Registry {
        let (stream, inputs, mut ends) = RequestStream::new();
        let (events, credential) = (Arc::clone(&self.events), self.credential.clone());
        tokio::spawn(async move {
            let _inputs = inputs;
            while let Some(outgoing) = ends.outgoing.recv().await {
                let Outgoing::Event(event) = outgoing else {
                    continue;
                };
                if let Event::CredentialWanted { repository } = &event {
                    let answer = Input::Credential {
                        repository: repository.clone(),
                        credential: credential.clone(),
                    };
                    ends.deliver(Incoming::Input(answer)).await.unwrap();
                }
                events.lock().unwrap().push(event);
            }
        });
        Registry::new(self.access.clone(), stream).with_idle(self.idle)
    }

    /// Pulls all of an image; returns its digest.
    pub(crate) async fn pull(&self, name: &str) -> Result<Digest, Failure> {
        let name = name.parse()?;
        let (policy, role) = (PullPolicy::Always, ImageRole::Other);
        let registry = self.registry();
        let resolved = registry
            .pull(&self.store, &name, policy, Want::Layers, role)
            .await?;
        Ok(resolved.image.digest)
    }

    /// Pulls an image from one registry, and pushes it to another.
    pub(crate) async fn copy(&self, from: &str, to: &str) -> Result<(), Failure> {
        let digest = self.pull(from).await?;
        let (from, to) = (from.parse()?, to.parse()?);
        let image = self.store.image(&digest)?;
        let registry = self.registry();
        Ok(registry.push(&self.store, &image, &to, Some(&from)).await?)
    }

    /// Why each further attempt was made.
    pub(crate) fn retries(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let retries = events.iter().filter_map(|event| match event {
            Event::Pull(PullEvent::Retry { reason, .. }) => Some(reason.clone()),
            _ => None,
        });
        retries.collect()
    }

    /// Files that the pulled layers hold.
    pub(crate) fn extracted(&self) -> Vec<String> {
        let layers = fs_err::read_dir(self.store.root().join("layers")).unwrap();
        let files = layers.flat_map(|layer| fs_err::read_dir(layer.unwrap().path()).unwrap());
        let mut names: Vec<_> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn has_blob(&self, digest: &str) -> bool {
        self.store.has_blob(&digest.parse().unwrap())
    }
}
