//! Pushes an image while a build still makes it: each blob travels when the
//! lifecycle has written it.

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

/// Blobs that travel at a time while the build goes on.
const PARALLEL: usize = 2;

/// Uploads under the names of one image; they end when it is dropped.
#[derive(Debug)]
pub struct Publication {
    repositories: Vec<Repository>,
    refusals: mpsc::Receiver<RegistryError>,
}

/// Of several names in one repository, the blobs travel once.
#[derive(Debug)]
struct Repository {
    names: Vec<ImageRef>,
    blobs: mpsc::UnboundedSender<Descriptor>,
    task: AbortOnDropHandle<Transferred>,
}

impl Registry {
    /// Begins to upload an image that a build makes on `run_image`, named
    /// `run_name`, under all of `names`. The run image's layers travel first;
    /// [`Publication::blob_forwarder`] adds each blob that the build writes, and
    /// [`Publication::finish`] the rest. Returns at once.
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
                // The other end of the queue is in our hands.
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

/// What one repository gets before the image is complete.
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
                // The first refusal ends the build.
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

/// Sends blobs as they come. A blob that fails is sent again when the image is
/// complete, and an error then is reported.
async fn send(upload: &Upload, queue: mpsc::UnboundedReceiver<Descriptor>) -> Transferred {
    let blobs = stream::unfold(queue, async |mut queue| {
        queue.recv().await.map(|blob| (blob, queue))
    });
    let sent = blobs.map(async |blob| (blob.digest, send_one(upload, &blob).await));
    let sent = sent.buffer_unordered(PARALLEL);
    let transferred = sent.filter_map(async |(digest, sent)| match sent {
        Ok(way) => Some((digest, way)),
        Err(error) => {
            tracing::debug!(%digest, %error, "not uploaded early");
            None
        }
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
    /// Returns when a registry refuses, or cannot be reached; else never.
    pub async fn refused(&mut self) -> RegistryError {
        match self.refusals.recv().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Lets blobs travel that the build has written; what is called whenever
    /// there is one.
    pub fn blob_forwarder(&self) -> impl Fn(Digest, u64) + Send + Sync + 'static {
        let senders: Vec<_> = self.repositories.iter().map(|r| r.blobs.clone()).collect();
        move |digest, size| {
            for sender in &senders {
                let media_type = String::new();
                // A repository that has refused takes nothing.
                let _ = sender.send(Descriptor {
                    media_type,
                    digest,
                    size,
                });
            }
        }
    }

    /// Uploads the rest of the image, now that it is complete and the
    /// caller has dropped the forwarder.
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
