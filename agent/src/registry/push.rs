//! Uploads a stored image. Skips the blobs that the registry already has.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::Event;
use protocol::event::PushEvent;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use super::request::Target;
use super::upload::{Sent, Total, Transfer, Upload};
use super::{Registry, RegistryError};
use crate::images::digest::Digest;
use crate::images::media_type;
use crate::images::reference::ImageRef;
use crate::store::{Descriptor, Image, Store};

/// The most blobs that upload at a time.
const PARALLEL: usize = 3;

/// The blobs that a repository is known to have.
#[derive(Debug, Default)]
pub(super) struct Transferred(pub(super) HashMap<Digest, Transfer>);

impl Transferred {
    fn has(&self, digest: &Digest) -> bool {
        self.0.contains_key(digest)
    }

    fn uploaded(&self, digest: &Digest) -> bool {
        self.0.get(digest) == Some(&Transfer::Uploaded)
    }
}

impl Registry {
    /// Uploads a stored image under the reference `target`: OCI distribution
    /// specification, "Push".
    ///
    /// `origin` names the image from which locald fetches layers that the store
    /// lacks. For a built image this is the run image. A push skips each blob
    /// that the registry has or can mount from the repository of `origin`. It
    /// sends the manifest last, so a failed push leaves `target` unchanged.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Unauthorized`], [`RegistryError::Status`] or
    /// [`RegistryError::Unreachable`] of the registry, and those of a pull for
    /// layers of `origin`.
    pub async fn push(
        &self,
        store: &Store,
        image: &Image,
        target: &ImageRef,
        origin: Option<&ImageRef>,
    ) -> Result<(), RegistryError> {
        let upload = self.upload(store, target, origin).await?;
        upload.image(image, &Transferred::default()).await
    }

    pub(super) async fn upload(
        &self,
        store: &Store,
        target: &ImageRef,
        origin: Option<&ImageRef>,
    ) -> Result<Upload, RegistryError> {
        Ok(Upload {
            registry: self.clone(),
            store: store.clone(),
            client: self.client(target).await?,
            target: target.clone(),
            origin: origin.cloned(),
        })
    }
}

impl Upload {
    /// Uploads the blobs that the registry lacks, except those in
    /// `transferred`, and then the manifest.
    #[tracing::instrument(name = "push", skip_all, fields(target = %self.target))]
    pub(super) async fn image(
        &self,
        image: &Image,
        transferred: &Transferred,
    ) -> Result<(), RegistryError> {
        let mut blobs: Vec<&Descriptor> = image.manifest.layers.iter().collect();
        blobs.push(&image.manifest.config);
        blobs.sort_unstable_by_key(|blob| blob.digest);
        blobs.dedup_by_key(|blob| blob.digest);
        let unknown = blobs.iter().filter(|blob| !transferred.has(&blob.digest));
        let requests: Vec<_> = unknown.map(|blob| self.missing(blob)).collect();
        let answers: Vec<Option<&Descriptor>> = stream::iter(requests)
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        let missing: Vec<&Descriptor> = answers.into_iter().flatten().collect();
        let uploaded = blobs
            .iter()
            .filter(|blob| transferred.uploaded(&blob.digest));
        let (early, sent) = uploaded.fold((0, 0), |(count, bytes), blob| {
            (count + 1, bytes + blob.size)
        });
        let bytes = sent + missing.iter().map(|blob| blob.size).sum::<u64>();
        let planned = PushEvent::Planned {
            image: self.target.familiar(),
            blobs: u32::try_from(blobs.len()).unwrap_or(u32::MAX),
            missing: u32::try_from(early + missing.len()).unwrap_or(u32::MAX),
            bytes,
        };
        self.registry.stream.event(Event::Push(planned)).await?;
        let total = Arc::new(Total {
            stream: self.registry.stream.clone(),
            image: self.target.familiar(),
            done: AtomicU64::new(sent),
            bytes,
        });
        let uploads: Vec<_> = missing
            .into_iter()
            .map(async |blob| self.blob(blob, &Sent::new(Some(&total))).await)
            .collect();
        stream::iter(uploads)
            .buffer_unordered(PARALLEL)
            .try_for_each(async |_| Ok(()))
            .await?;
        self.manifest(image).await?;
        let done = PushEvent::Done {
            image: self.target.familiar(),
            digest: image.digest.to_string(),
        };
        Ok(self.registry.stream.event(Event::Push(done)).await?)
    }

    async fn manifest(&self, image: &Image) -> Result<(), RegistryError> {
        let what = self.what();
        let path = format!("manifests/{}", self.target.version());
        let request = self.request(Method::PUT, Target::Path(&path), &what);
        let media_type = image.manifest.media_type.clone();
        let media_type = media_type.unwrap_or_else(|| media_type::MANIFEST.to_owned());
        let body = |request: reqwest::RequestBuilder| {
            request
                .header(CONTENT_TYPE, &media_type)
                .body(image.manifest_bytes.clone())
        };
        self.client.send(&request, body).await.map(drop)
    }
}
