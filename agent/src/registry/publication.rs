//! Pushes an image during its build: uploads each blob as soon as the lifecycle
//! has written it.

use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::push::Transferred;
use super::upload::Sent;
use super::upload::{Transfer, Upload};
use super::{Registry, RegistryError};
use crate::images::digest::Digest;
use crate::images::reference::ImageRef;
use crate::store::{Descriptor, Image, Store};

/// The most blobs that upload at a time during the build.
const PARALLEL: usize = 2;

/// Uploads under the names of one image. Dropping it cancels them.
#[derive(Debug)]
pub struct Publication {
    repositories: Vec<Repository>,
    refusals: mpsc::Receiver<RegistryError>,
}

/// The names in one repository. Each blob is uploaded once for all of them.
#[derive(Debug)]
struct Repository {
    names: Vec<ImageRef>,
    blobs: mpsc::UnboundedSender<Descriptor>,
    task: AbortOnDropHandle<Transferred>,
}

impl Registry {
    /// Starts to upload an image that a build makes on `run_image`, named
    /// `run_name`, under all of `names`. The layers of the run image go first.
    /// [`Publication::blob_forwarder`] adds each blob that the build writes,
    /// and [`Publication::finish`] uploads the rest. Returns at once.
    pub fn publish(
        &self,
        store: &Store,
        names: &[ImageRef],
        run_name: &ImageRef,
        run_image: &Image,
    ) -> Publication {
        let (refused, refusals) = mpsc::channel(1);
        let mut repositories: Vec<Repository> = Vec::new();
        for name in names {
            if let Some(known) = repositories.iter_mut().find(|known| known.has(name)) {
                known.names.push(name.clone());
                continue;
            }
            let (blobs, queue) = mpsc::unbounded_channel();
            for layer in &run_image.manifest.layers {
                // This cannot fail: the receiver still exists.
                let _ = blobs.send(layer.clone());
            }
            let early = Early {
                registry: self.clone(),
                store: store.clone(),
                name: name.clone(),
                origin: run_name.clone(),
            };
            repositories.push(Repository {
                names: vec![name.clone()],
                blobs,
                task: AbortOnDropHandle::new(tokio::spawn(early.run(queue, refused.clone()))),
            });
        }
        Publication {
            repositories,
            refusals,
        }
    }
}

/// The uploads to one repository before the image is complete.
struct Early {
    registry: Registry,
    store: Store,
    name: ImageRef,
    origin: ImageRef,
}

impl Early {
    async fn run(
        self,
        queue: mpsc::UnboundedReceiver<Descriptor>,
        refused: mpsc::Sender<RegistryError>,
    ) -> Transferred {
        match self.begin().await {
            Ok(upload) => send(&upload, queue).await,
            Err(error) => {
                // The first refusal ends the build, so later ones may be lost.
                let _ = refused.try_send(error);
                Transferred::default()
            }
        }
    }

    async fn begin(&self) -> Result<Upload, RegistryError> {
        let upload = self
            .registry
            .upload(&self.store, &self.name, Some(&self.origin))
            .await?;
        upload.check_permission().await?;
        Ok(upload)
    }
}

/// Sends blobs as they arrive. Skips a blob that fails: [`Publication::finish`]
/// sends it again and reports an error.
async fn send(upload: &Upload, queue: mpsc::UnboundedReceiver<Descriptor>) -> Transferred {
    // No async closures: rustc 1.95 crashes at them in incremental compilation.
    let blobs = stream::unfold(queue, |mut queue| async {
        queue.recv().await.map(|blob| (blob, queue))
    });
    let sent = blobs.map(|blob| async move { (blob.digest, send_one(upload, &blob).await) });
    let sent = sent.buffer_unordered(PARALLEL);
    let transferred = sent.filter_map(|(digest, sent)| {
        let transferred = sent.inspect_err(|error| {
            tracing::debug!(%digest, %error, "not uploaded early");
        });
        std::future::ready(transferred.ok().map(|transfer| (digest, transfer)))
    });
    Transferred(transferred.collect().await)
}

async fn send_one(upload: &Upload, blob: &Descriptor) -> Result<Transfer, RegistryError> {
    if upload.missing(blob).await?.is_none() {
        return Ok(Transfer::AlreadyThere);
    }
    upload.blob(blob, &Sent::new(None)).await
}

impl Repository {
    fn has(&self, name: &ImageRef) -> bool {
        let known = &self.names[0];
        known.registry() == name.registry() && known.repository() == name.repository()
    }
}

impl Publication {
    /// Returns the error of a registry that refuses or is unreachable.
    /// Otherwise never returns.
    pub async fn refused(&mut self) -> RegistryError {
        match self.refusals.recv().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Returns a callback that uploads a blob, given its digest and its size in
    /// bytes. The build calls it for each blob that it writes.
    pub fn blob_forwarder(&self) -> impl Fn(Digest, u64) + Send + Sync + 'static {
        let senders: Vec<_> = self.repositories.iter().map(|r| r.blobs.clone()).collect();
        move |digest, size| {
            for sender in &senders {
                let media_type = String::new();
                // This fails if the repository has refused an earlier blob.
                let _ = sender.send(Descriptor {
                    media_type,
                    digest,
                    size,
                });
            }
        }
    }

    /// Uploads the rest of the complete image. The caller must have dropped the
    /// callback of [`Publication::blob_forwarder`].
    pub async fn finish(
        self,
        store: &Store,
        image: &Image,
        registry: &Registry,
    ) -> Result<(), RegistryError> {
        for Repository { names, blobs, task } in self.repositories {
            drop(blobs);
            let transferred = task.await.unwrap_or_default();
            for name in &names {
                let upload = registry.upload(store, name, None).await?;
                upload.image(image, &transferred).await?;
            }
        }
        Ok(())
    }
}
