//! From a reference to an image in the store.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::Event;
use protocol::event::{ImageRole, PullEvent};
use protocol::request::PullPolicy;
use reqwest::Method;
use reqwest::header::ACCEPT;
use serde::Deserialize;

use super::download::{Chunks, download, pipe};
use super::remote::{Operation, Question, Remote};
use super::{Registry, RegistryError};
use crate::crash::{self, Point};
use crate::digest::{DiffId, Digest, Hasher};
use crate::layer::{Compression, LayerError};
use crate::media_type;
use crate::reference::ImageRef;
use crate::store::{
    DOCUMENT_CAP, Descriptor, Image, ImageConfig, Manifest, Store, StoreError, StoredImage,
    seconds_since_epoch,
};

/// Layers that are fetched at a time.
const PARALLEL: usize = 4;
/// A layer's progress is reported this often at the most.
const REPORT: Duration = Duration::from_millis(100);
/// When a reference was confirmed longer ago than this, [`PullPolicy::Daily`]
/// asks again.
const FRESH: u64 = 24 * 60 * 60;
const INDEX_TYPES: [&str; 2] = [media_type::INDEX, media_type::DOCKER_INDEX];
const IMAGE_TYPES: [&str; 2] = [media_type::MANIFEST, media_type::DOCKER_MANIFEST];

/// How much of an image is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Manifest and configuration.
    Documents,
    /// The extracted layers too.
    Layers,
}

/// A stored image and its documents.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The reference in the store.
    pub stored: StoredImage,
    /// The documents.
    pub image: Arc<Image>,
}

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

impl Registry {
    /// Brings an image into the store, as far as it is wanted and not there.
    #[tracing::instrument(skip_all, fields(%name))]
    pub async fn pull(
        &self,
        store: &Store,
        name: &ImageRef,
        policy: PullPolicy,
        want: Want,
        role: ImageRole,
    ) -> Result<Resolved, RegistryError> {
        let stored = store.find(&name.to_string())?;
        let resolved = self.resolve(store, name, policy, role, stored).await?;
        let image = &resolved.image;
        check_platform(name, image)?;
        if want == Want::Layers {
            self.fetch_layers(store, name, image).await?;
        }
        Ok(resolved)
    }

    /// The documents of an image, from the store or from the registry.
    async fn resolve(
        &self,
        store: &Store,
        name: &ImageRef,
        policy: PullPolicy,
        role: ImageRole,
        stored: Option<StoredImage>,
    ) -> Result<Resolved, RegistryError> {
        let documents = |stored: StoredImage| -> Result<Resolved, RegistryError> {
            let image = Arc::new(store.image(&stored.descriptor.digest)?);
            Ok(Resolved { stored, image })
        };
        match stored {
            Some(stored) if is_fresh(&stored, name, policy) => documents(stored),
            None if policy == PullPolicy::Never => Err(RegistryError::NotStored(name.familiar())),
            stored => match self
                .fetch_documents(store, name, role, stored.as_ref())
                .await
            {
                Err(error) if error.is_unreachable() => {
                    let Some(stored) = stored else {
                        return Err(error);
                    };
                    let message = format!("{error}: the stored {} is used", name.familiar());
                    self.dialogue.warn(message, None).await?;
                    documents(stored)
                }
                fetched => fetched,
            },
        }
    }

    async fn fetch_documents(
        &self,
        store: &Store,
        name: &ImageRef,
        role: ImageRole,
        stored: Option<&StoredImage>,
    ) -> Result<Resolved, RegistryError> {
        let remote = self.remote(name).await?;
        let what = format!("image {}", name.familiar());
        let (mut descriptor, mut bytes) = manifest(&remote, name, &name.version(), &what).await?;
        if is_index(&descriptor, &bytes) {
            let digest = choose(name, &remote, &bytes)?;
            (descriptor, bytes) = manifest(&remote, name, &digest.to_string(), &what).await?;
        }
        let content = |source| RegistryError::Content {
            what: what.clone(),
            source,
        };
        let parsed = Manifest::parse(&descriptor.digest, &bytes).map_err(content)?;
        let config = if store.has_blob(&parsed.config.digest) {
            store.read_blob(&parsed.config.digest, DOCUMENT_CAP)?
        } else {
            self.fetch_small(&remote, name, &parsed.config).await?
        };
        let image = Image::new(descriptor.digest, bytes, config).map_err(content)?;
        check_platform(name, &image)?;
        store.write_blob(&image.manifest_bytes)?;
        store.write_blob(&image.config_bytes)?;
        crash::at(Point::DocumentsStored);
        let mut new = StoredImage::now(name.to_string(), descriptor, role);
        if let Some(old) = stored {
            // A role says why an image came first.
            new.role = old.role;
            if old.descriptor == new.descriptor {
                new.updated = old.updated;
            }
        }
        store.set_images(std::slice::from_ref(&new))?;
        crash::at(Point::PulledNameSet);
        Ok(Resolved {
            stored: new,
            image: Arc::new(image),
        })
    }

    async fn fetch_small(
        &self,
        remote: &Remote,
        name: &ImageRef,
        blob: &Descriptor,
    ) -> Result<Vec<u8>, RegistryError> {
        let what = format!("the configuration of {}", name.familiar());
        if blob.size > DOCUMENT_CAP {
            return Err(remote.nonsense(&what, "a configuration of more than 4 MiB"));
        }
        let question = Question {
            method: Method::GET,
            path: &format!("blobs/{}", blob.digest),
            repository: name.repository(),
            operation: Operation::Pull,
            what: &what,
        };
        let response = remote.ask(&question, |request| request).await?;
        let bytes = remote.body(response, &what).await?;
        let actual = Digest::of(&bytes);
        if actual != blob.digest {
            let expected = blob.digest;
            let source = StoreError::Mismatch { expected, actual };
            return Err(RegistryError::Content { what, source });
        }
        Ok(bytes)
    }

    /// Fetches and extracts the layers of an image that are not extracted.
    pub async fn fetch_layers(
        &self,
        store: &Store,
        name: &ImageRef,
        image: &Image,
    ) -> Result<(), RegistryError> {
        let absent = |(_, diff_id): &(&Descriptor, &DiffId)| !store.has_layer(diff_id);
        let mut missing: Vec<_> = image.layers().filter(absent).collect();
        missing.sort_unstable_by_key(|(blob, diff_id)| (std::cmp::Reverse(blob.size), **diff_id));
        missing.dedup_by_key(|(_, diff_id)| **diff_id);
        if missing.is_empty() {
            return Ok(());
        }
        let remote_size = |(blob, diff_id): &(&Descriptor, &DiffId)| {
            if store.has_blob(&blob.digest) || store.is_extracted(diff_id).unwrap_or(false) {
                0
            } else {
                blob.size
            }
        };
        let resolved = PullEvent::Resolved {
            image: name.familiar(),
            digest: image.digest.to_string(),
            layers: count(image.manifest.layers.len()),
            missing: count(missing.len()),
            bytes: missing.iter().map(remote_size).sum(),
        };
        self.dialogue.event(Event::Pull(resolved)).await?;
        let fetches: Vec<_> = missing
            .iter()
            .map(|(blob, diff_id)| self.fetch_layer(store, name, blob, diff_id))
            .collect();
        stream::iter(fetches)
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await?;
        crash::at(Point::LayersFetched);
        // One sync for all layers: none is used before it is on the disk.
        let diff_ids: Vec<DiffId> = missing.iter().map(|(_, diff_id)| **diff_id).collect();
        let publishing = store.clone();
        blocking(move || publishing.publish_layers(&diff_ids)).await?;
        let done = PullEvent::Done {
            image: name.familiar(),
            digest: image.digest.to_string(),
        };
        Ok(self.dialogue.event(Event::Pull(done)).await?)
    }

    async fn fetch_layer(
        &self,
        store: &Store,
        name: &ImageRef,
        blob: &Descriptor,
        diff_id: &DiffId,
    ) -> Result<(), RegistryError> {
        let broken = |source| RegistryError::Layer {
            image: name.familiar(),
            digest: blob.digest.to_string(),
            source,
        };
        let (task_store, task_blob, task_diff_id) = (store.clone(), blob.clone(), *diff_id);
        if store.has_blob(&blob.digest) || store.is_extracted(diff_id)? {
            let extract = move || task_store.extract_blob(&task_blob, &task_diff_id);
            blocking(extract).await.map_err(broken)?;
        } else {
            let (sink, chunks) = pipe(blob.size);
            let extract = move || extract_verified(&task_store, &task_blob, &task_diff_id, chunks);
            let extracting = blocking(extract);
            let remote = self.remote(name).await?;
            let report = self.reporter(name, blob);
            let downloading = async {
                let sent = download(&remote, name.repository(), blob, &sink, report).await;
                drop(sink);
                sent
            };
            let (sent, extracted) = tokio::join!(downloading, extracting);
            sent?;
            extracted.map_err(broken)?;
        }
        let done = PullEvent::LayerDone {
            image: name.familiar(),
            layer: blob.digest.to_string(),
        };
        Ok(self.dialogue.event(Event::Pull(done)).await?)
    }

    /// Fetches the blob of a layer, unless it is in the store.
    pub async fn fetch_blob(
        &self,
        store: &Store,
        name: &ImageRef,
        blob: &Descriptor,
    ) -> Result<(), RegistryError> {
        if store.has_blob(&blob.digest) {
            return Ok(());
        }
        let remote = self.remote(name).await?;
        let (sink, mut chunks) = pipe(blob.size);
        let (task_store, expected) = (store.clone(), blob.digest);
        let storing = blocking(move || -> Result<(), StoreError> {
            let mut writer = task_store.blob_writer()?;
            std::io::copy(&mut chunks, &mut writer)
                .map_err(|source| StoreError::io("write a blob in", task_store.root(), source))?;
            writer.commit(Some(&expected)).map(drop)
        });
        let report = self.reporter(name, blob);
        let downloading = async {
            let sent = download(&remote, name.repository(), blob, &sink, report).await;
            drop(sink);
            sent
        };
        let (sent, stored) = tokio::join!(downloading, storing);
        sent?;
        stored.map_err(|source| RegistryError::Content {
            what: format!("layer {} of {}", blob.digest, name.familiar()),
            source,
        })
    }

    fn reporter(&self, name: &ImageRef, blob: &Descriptor) -> impl FnMut(u64) + use<> {
        let dialogue = self.dialogue.clone();
        let (image, layer, total) = (name.familiar(), blob.digest.to_string(), blob.size);
        let mut last = Instant::now();
        move |done| {
            if last.elapsed() >= REPORT || done == total {
                last = Instant::now();
                dialogue.progress(Event::Pull(PullEvent::Progress {
                    image: image.clone(),
                    layer: layer.clone(),
                    done,
                    total,
                }));
            }
        }
    }
}

/// Runs what blocks on a thread of its own.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::io("work in", "a thread".as_ref(), error.into()).into()),
    }
}

/// Extracts a layer as it comes. The tree becomes visible only when its
/// content is what the image announced; the pull fails as well when the blob
/// that carried it is not.
fn extract_verified(
    store: &Store,
    blob: &Descriptor,
    diff_id: &DiffId,
    chunks: Chunks,
) -> Result<(), LayerError> {
    let compression = Compression::of_media_type(&blob.media_type).unwrap_or(Compression::Gzip);
    let mut verified = Verified {
        inner: chunks,
        hasher: Some(Hasher::new()),
        expected: blob.digest,
    };
    store.extract_layer(diff_id, compression, &mut verified)?;
    // When another process had extracted it meanwhile, nobody has read all.
    std::io::copy(&mut verified, &mut std::io::sink())
        .map(drop)
        .map_err(LayerError::Archive)
}

/// Fails at its end when what was read has another digest.
struct Verified {
    inner: Chunks,
    hasher: Option<Hasher>,
    expected: Digest,
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count > 0 {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&buffer[..count]);
            }
            return Ok(count);
        }
        let actual = self.hasher.take().map(Hasher::finish);
        match actual {
            Some(actual) if actual != self.expected && !buffer.is_empty() => {
                let expected = self.expected;
                let mismatch = StoreError::Mismatch { expected, actual };
                Err(std::io::Error::new(
                    std::io::ErrorKind::InvalidData,
                    mismatch,
                ))
            }
            _ => Ok(0),
        }
    }
}

async fn manifest(
    remote: &Remote,
    name: &ImageRef,
    version: &str,
    what: &str,
) -> Result<(Descriptor, Vec<u8>), RegistryError> {
    let question = Question {
        method: Method::GET,
        path: &format!("manifests/{version}"),
        repository: name.repository(),
        operation: Operation::Pull,
        what,
    };
    let accepted = [INDEX_TYPES, IMAGE_TYPES].concat().join(", ");
    let accept = |request: reqwest::RequestBuilder| request.header(ACCEPT, &accepted);
    let response = remote.ask(&question, accept).await?;
    let media_type = response
        .headers()
        .get(reqwest::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or(value).trim().to_owned())
        .unwrap_or_default();
    let bytes = remote.body(response, what).await?;
    let digest = Digest::of(&bytes);
    if let Ok(expected) = version.parse::<Digest>()
        && expected != digest
    {
        let source = StoreError::Mismatch {
            expected,
            actual: digest,
        };
        let what = what.to_owned();
        return Err(RegistryError::Content { what, source });
    }
    let size = bytes.len() as u64;
    let descriptor = Descriptor {
        media_type,
        digest,
        size,
    };
    Ok((descriptor, bytes))
}

fn is_index(descriptor: &Descriptor, bytes: &[u8]) -> bool {
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
fn choose(name: &ImageRef, remote: &Remote, bytes: &[u8]) -> Result<Digest, RegistryError> {
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

fn check_platform(name: &ImageRef, image: &Image) -> Result<(), RegistryError> {
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
pub(crate) fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn is_fresh(stored: &StoredImage, name: &ImageRef, policy: PullPolicy) -> bool {
    match policy {
        // What a digest names does not move.
        _ if name.digest().is_some() => true,
        PullPolicy::Always => false,
        PullPolicy::Daily => seconds_since_epoch().saturating_sub(stored.checked) < FRESH,
        PullPolicy::IfNotPresent | PullPolicy::Never => true,
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
