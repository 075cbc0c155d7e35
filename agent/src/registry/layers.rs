//! Fetches the layers of an image, and extracts them as they arrive.

use std::io::{self, BufRead, Read};
use std::num::NonZero;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::Event;
use protocol::event::PullEvent;
use tokio::sync::mpsc;

use super::download::{Chunks, download, pipe};
use super::{Registry, RegistryError};
use crate::crash::{self, Point};
use crate::images::digest::{DiffId, Digest, Hasher, InterleavedHasher};
use crate::images::reference::ImageRef;
use crate::store::layer::{Compression, LayerError};
use crate::store::{Descriptor, Image, Store, StoreError};

/// The shortest time between two reports of a layer's progress.
const REPORT: Duration = Duration::from_millis(100);

impl Registry {
    /// Fetches and extracts the layers of an image that are not extracted yet.
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
        self.stream.event(Event::Pull(resolved)).await?;
        let (extracted, publishing) = mpsc::unbounded_channel();
        let fetches: Vec<_> = missing
            .iter()
            .map(|(blob, diff_id)| self.fetch_layer(store, name, blob, diff_id))
            .collect();
        let fetching = async move {
            let mut layers = stream::iter(fetches).buffer_unordered(parallel());
            while let Some(diff_id) = layers.try_next().await? {
                // The receiver is gone if publishing failed. That failure ends
                // this task, too.
                let _ = extracted.send(diff_id);
            }
            Ok(())
        };
        tokio::try_join!(fetching, publish(store, publishing))?;
        crash::at(Point::LayersFetched);
        let done = PullEvent::Done {
            image: name.familiar(),
            digest: image.digest.to_string(),
        };
        Ok(self.stream.event(Event::Pull(done)).await?)
    }

    async fn fetch_layer(
        &self,
        store: &Store,
        name: &ImageRef,
        blob: &Descriptor,
        diff_id: &DiffId,
    ) -> Result<DiffId, RegistryError> {
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
            let client = self.client(name).await?;
            let report = self.reporter(name, blob);
            let downloading = async {
                let sent = download(&client, name.repository(), blob, &sink, report).await;
                drop(sink);
                sent
            };
            let (sent, read) = tokio::join!(downloading, extracting);
            sent?;
            read.map_err(broken)?;
        }
        let done = PullEvent::LayerDone {
            image: name.familiar(),
            layer: blob.digest.to_string(),
        };
        self.stream.event(Event::Pull(done)).await?;
        Ok(*diff_id)
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
        self.replace_blob(store, name, blob).await
    }

    /// Fetches the blob of a layer again, to replace a damaged one.
    pub async fn replace_blob(
        &self,
        store: &Store,
        name: &ImageRef,
        blob: &Descriptor,
    ) -> Result<(), RegistryError> {
        let client = self.client(name).await?;
        let (sink, mut chunks) = pipe(blob.size);
        let (task_store, expected) = (store.clone(), blob.digest);
        let storing = blocking(move || -> Result<(), StoreError> {
            let mut writer = task_store.blob_writer()?;
            std::io::copy(&mut chunks, &mut writer)
                .map_err(|source| StoreError::io("write a blob in", task_store.root(), source))?;
            writer.replace(&expected).map(drop)
        });
        let report = self.reporter(name, blob);
        let downloading = async {
            let sent = download(&client, name.repository(), blob, &sink, report).await;
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
        let stream = self.stream.clone();
        let (image, layer, total) = (name.familiar(), blob.digest.to_string(), blob.size);
        let mut last = Instant::now();
        move |done| {
            if last.elapsed() >= REPORT || done == total {
                last = Instant::now();
                stream.progress(Event::Pull(PullEvent::Progress {
                    image: image.clone(),
                    layer: layer.clone(),
                    done,
                    total,
                }));
            }
        }
    }
}

/// The number of layers to fetch at a time. While one waits for the network,
/// each processor has another one to unpack.
fn parallel() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    (processors + 1).clamp(3, 8)
}

/// Publishes extracted layers as they arrive. Layers that arrive during one
/// sync are published by the next. So the disk works while other layers are
/// fetched, and the last sync has little to write.
async fn publish(
    store: &Store,
    mut extracted: mpsc::UnboundedReceiver<DiffId>,
) -> Result<(), RegistryError> {
    let mut diff_ids = Vec::new();
    while extracted.recv_many(&mut diff_ids, usize::MAX).await > 0 {
        let (store, batch) = (store.clone(), std::mem::take(&mut diff_ids));
        blocking(move || store.publish_layers(&batch)).await?;
    }
    Ok(())
}

/// Runs blocking work on a thread of its own.
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

/// Extracts a layer as it arrives. The tree becomes visible only if its diffID
/// is the announced one. The pull also fails if the digest of the blob is not
/// the announced one.
fn extract_verified(
    store: &Store,
    blob: &Descriptor,
    diff_id: &DiffId,
    chunks: Chunks,
) -> Result<(), LayerError> {
    let interleaved = InterleavedHasher::default();
    let hasher = Hasher::beside(interleaved.clone());
    let mut verified = Verified {
        chunks,
        interleaved,
        expected: blob.digest,
    };
    let (compression, archive) =
        Compression::of_archive(&mut verified).map_err(LayerError::Archive)?;
    store.extract_layer(diff_id, compression, archive, hasher)?;
    // Read the rest: if another process has extracted the layer meanwhile, the
    // extraction has not read all bytes.
    io::copy(&mut verified, &mut io::sink())
        .map(drop)
        .map_err(LayerError::Archive)
}

/// A reader that fails at its end if the digest of its bytes is not the
/// expected one.
struct Verified {
    chunks: Chunks,
    interleaved: InterleavedHasher,
    expected: Digest,
}

impl BufRead for Verified {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let bytes = self.chunks.fill_buf()?;
        if bytes.is_empty() {
            let (expected, actual) = (self.expected, self.interleaved.digest());
            if actual != expected {
                let mismatch = StoreError::Mismatch { expected, actual };
                return Err(io::Error::new(io::ErrorKind::InvalidData, mismatch));
            }
        }
        Ok(bytes)
    }

    fn consume(&mut self, count: usize) {
        self.interleaved.update(self.chunks.consume(count));
    }
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
