//! Sends a stored image as the files of an OCI image layout or of a Docker
//! archive.

use std::io::{BufReader, Read};

use bytes::Bytes;
use protocol::event::ImageRole;
use protocol::request::{ExportFormat, RegistryAccess};
use protocol::{Channel, Event, Failure, FailureKind, Reply};
use serde_json::{Value, json};

use crate::Agent;
use crate::buildpack_build::lifecycle::metadata;
use crate::crash::{self, Point};
use crate::images::digest::Digest;
use crate::images::media_type;
use crate::images::reference::ImageRef;
use crate::images::reference::familiar;
use crate::registry::Registry;
use crate::request::store_use;
use crate::request::stream::RequestStream;
use crate::store::layer::{Compression, LayerError};
use crate::store::{Image, Store, StoreError, StoredImage, UseKind};

/// Bytes to send at a time.
const CHUNK: usize = 256 * 1024;

/// Sends the files of an export. Fetches layers that the store lacks.
pub async fn export(
    agent: &Agent,
    stream: RequestStream,
    name: &str,
    format: ExportFormat,
    access: RegistryAccess,
) -> Result<Reply, Failure> {
    let store = &agent.store;
    let _use_lock = store_use::in_use(store, UseKind::Work, &stream).await?;
    let (stored, image) = super::load(store, name)?;
    fetch_blobs(store, &stream, &stored, &image, access).await?;
    let files = Files { store, stream };
    let digest = match format {
        ExportFormat::OciLayout => files.oci_layout(&stored, &image).await?,
        ExportFormat::DockerArchive => {
            files.docker_archive(&stored, &image).await?;
            image.digest
        }
    };
    crash::at(Point::ExportSent);
    Ok(Reply::Digest(digest.to_string()))
}

async fn fetch_blobs(
    store: &Store,
    stream: &RequestStream,
    stored: &StoredImage,
    image: &Image,
    access: RegistryAccess,
) -> Result<(), Failure> {
    let built = stored.role == ImageRole::Application;
    if built && !metadata::is_complete(store, image) {
        let name = familiar(&stored.name);
        let message =
            format!("{name} has lost the archive of a layer: it runs, but cannot be exported");
        return Err(Failure::new(FailureKind::Integrity, message)
            .with_hint("`locald build` makes it again"));
    }
    let Some(origin) = metadata::origin(stored, image) else {
        return Ok(());
    };
    let registry = Registry::new(access, stream.clone());
    for layer in &image.manifest.layers {
        registry.fetch_blob(store, &origin, layer).await?;
    }
    Ok(())
}

struct Files<'a> {
    store: &'a Store,
    stream: RequestStream,
}

impl Files<'_> {
    /// Sends an OCI layout. Returns the digest of its manifest, which differs
    /// from the stored one if that one uses Docker's media types.
    async fn oci_layout(&self, stored: &StoredImage, image: &Image) -> Result<Digest, Failure> {
        let layout = json!({"imageLayoutVersion": "1.0.0"});
        self.bytes("oci-layout", layout.to_string().into()).await?;
        crash::at(Point::ExportBegun);
        let manifest = oci_manifest(image);
        let digest = Digest::of(&manifest);
        let index = json!({
            "schemaVersion": 2,
            "mediaType": media_type::INDEX,
            "manifests": [{
                "mediaType": media_type::MANIFEST,
                "digest": digest,
                "size": manifest.len(),
                "annotations": {"org.opencontainers.image.ref.name": tag(stored)},
            }],
        });
        self.bytes("index.json", index.to_string().into()).await?;
        let path = format!("blobs/sha256/{}", digest.hex());
        self.bytes(&path, manifest.into()).await?;
        let mut digests = vec![image.manifest.config.digest];
        digests.extend(image.manifest.layers.iter().map(|layer| layer.digest));
        let mut seen = std::collections::HashSet::new();
        for digest in digests.into_iter().filter(|digest| seen.insert(*digest)) {
            let blob = self.store.open_blob(&digest)?;
            let size = self.store.blob_size(&digest).unwrap_or(0);
            let path = format!("blobs/sha256/{}", digest.hex());
            self.stream(&path, size, blob).await?;
        }
        Ok(digest)
    }

    async fn docker_archive(&self, stored: &StoredImage, image: &Image) -> Result<(), Failure> {
        let config = format!("{}.json", image.manifest.config.digest.hex());
        let layer =
            |(_, diff_id): (_, &crate::images::digest::DiffId)| format!("{}.tar", diff_id.0.hex());
        let layers: Vec<String> = image.layers().map(layer).collect();
        let manifest = json!([{
            "Config": config,
            "RepoTags": [docker_tag(stored)],
            "Layers": layers,
        }]);
        self.bytes("manifest.json", manifest.to_string().into())
            .await?;
        self.bytes(&config, image.config_bytes.clone().into())
            .await?;
        let mut seen = std::collections::HashSet::new();
        for ((blob, _), path) in image.layers().zip(&layers) {
            if !seen.insert(path) {
                continue;
            }
            let open = || -> Result<_, Failure> {
                let blob = BufReader::with_capacity(CHUNK, self.store.open_blob(&blob.digest)?);
                let plain = Compression::of_archive(blob)
                    .and_then(|(compression, blob)| compression.reader(blob));
                Ok(plain.map_err(LayerError::Archive)?)
            };
            let size = length(open()?)?;
            self.stream(path, size, open()?).await?;
        }
        Ok(())
    }

    async fn bytes(&self, path: &str, bytes: Bytes) -> Result<(), Failure> {
        self.stream(path, bytes.len() as u64, &*bytes).await
    }

    async fn stream(&self, path: &str, size: u64, mut content: impl Read) -> Result<(), Failure> {
        let path = path.to_owned();
        self.stream.event(Event::File { path, size }).await?;
        loop {
            let mut buffer = vec![0; CHUNK];
            let count = tokio::task::block_in_place(|| content.read(&mut buffer));
            let count = count
                .map_err(|source| StoreError::io("read a blob in", self.store.root(), source))?;
            if count == 0 {
                return Ok(());
            }
            buffer.truncate(count);
            self.stream.data(Channel::Bulk, buffer.into()).await?;
        }
    }
}

/// The manifest with OCI media types only. Other tools refuse a mixture. The
/// lifecycle writes one if the run image uses Docker's types.
fn oci_manifest(image: &Image) -> Vec<u8> {
    let document: Result<Value, _> = serde_json::from_slice(&image.manifest_bytes);
    let Ok(mut document) = document else {
        return image.manifest_bytes.clone();
    };
    let before = document.clone();
    document["mediaType"] = media_type::MANIFEST.into();
    let layers = document["layers"].as_array_mut().into_iter().flatten();
    layers.for_each(|layer| to_oci(&mut layer["mediaType"]));
    to_oci(&mut document["config"]["mediaType"]);
    if document == before {
        return image.manifest_bytes.clone();
    }
    document.to_string().into()
}

fn to_oci(kind: &mut Value) {
    let oci = match kind.as_str().unwrap_or_default() {
        media_type::DOCKER_CONFIG => media_type::CONFIG,
        media_type::DOCKER_LAYER => media_type::LAYER,
        media_type::DOCKER_LAYER_GZIP => media_type::LAYER_GZIP,
        media_type::DOCKER_LAYER_ZSTD => media_type::LAYER_ZSTD,
        _ => return,
    };
    *kind = oci.into();
}

/// The length of a decompressed layer in bytes. Docker archives contain
/// decompressed layers, and no document has their length.
fn length(mut content: impl Read) -> Result<u64, LayerError> {
    tokio::task::block_in_place(|| std::io::copy(&mut content, &mut std::io::sink()))
        .map_err(LayerError::Archive)
}

fn tag(stored: &StoredImage) -> String {
    let name = stored.name.parse::<ImageRef>();
    name.map_or_else(|_| "latest".to_owned(), |name| name.version())
}

/// The tag for `docker load`, which requires one.
fn docker_tag(stored: &StoredImage) -> String {
    let familiar = familiar(&stored.name);
    match stored.name.parse::<ImageRef>() {
        Ok(name) if !familiar.ends_with(&format!(":{}", name.version())) => {
            format!("{familiar}:{}", name.version())
        }
        _ => familiar,
    }
}
