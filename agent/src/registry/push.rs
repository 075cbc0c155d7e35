//! From the store to a registry; only what it lacks travels.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::Event;
use protocol::event::PushEvent;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};

use super::remote::{Operation, Question, Remote, Target};
use super::upload::{Sent, Total};
use super::{Registry, RegistryError};
use crate::images::digest::Digest;
use crate::images::media_type;
use crate::images::reference::ImageRef;
use crate::store::{Descriptor, Image, Store};

/// Blobs that travel at a time.
const PARALLEL: usize = 3;

/// How a registry came to have a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It had it, or took it from another repository.
    There,
    Uploaded,
}

/// What a repository is known to have.
#[derive(Debug, Default)]
pub(super) struct Travelled(pub(super) HashMap<Digest, Way>);

impl Travelled {
    fn has(&self, digest: &Digest) -> bool {
        self.0.contains_key(digest)
    }

    fn uploaded(&self, digest: &Digest) -> bool {
        self.0.get(digest) == Some(&Way::Uploaded)
    }
}

/// Uploads under one name; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) registry: Registry,
    pub(super) store: Store,
    pub(super) remote: Arc<Remote>,
    target: ImageRef,
    /// Where layers that the store lacks can be had: the run image.
    pub(super) origin: Option<ImageRef>,
}

impl Registry {
    /// Uploads a stored image under a name.
    pub async fn push(
        &self,
        store: &Store,
        image: &Image,
        target: &ImageRef,
        origin: Option<&ImageRef>,
    ) -> Result<(), RegistryError> {
        let upload = self.upload(store, target, origin).await?;
        upload.image(image, &Travelled::default()).await
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
            remote: self.remote(target).await?,
            target: target.clone(),
            origin: origin.cloned(),
        })
    }
}

impl Upload {
    /// Uploads what the registry lacks of an image, but what has travelled
    /// already.
    #[tracing::instrument(name = "push", skip_all, fields(target = %self.target))]
    pub(super) async fn image(
        &self,
        image: &Image,
        travelled: &Travelled,
    ) -> Result<(), RegistryError> {
        let mut blobs: Vec<&Descriptor> = image.manifest.layers.iter().collect();
        blobs.push(&image.manifest.config);
        blobs.sort_unstable_by_key(|blob| blob.digest);
        blobs.dedup_by_key(|blob| blob.digest);
        let unknown = blobs.iter().filter(|blob| !travelled.has(&blob.digest));
        let questions: Vec<_> = unknown.map(|blob| self.missing(blob)).collect();
        let answers: Vec<Option<&Descriptor>> = stream::iter(questions)
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        let missing: Vec<&Descriptor> = answers.into_iter().flatten().collect();
        let uploaded = blobs.iter().filter(|blob| travelled.uploaded(&blob.digest));
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
        self.registry.dialogue.event(Event::Push(planned)).await?;
        let total = Arc::new(Total {
            dialogue: self.registry.dialogue.clone(),
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
        Ok(self.registry.dialogue.event(Event::Push(done)).await?)
    }

    /// Asks for the right to upload, by an upload that is given up at once.
    pub(super) async fn ask_permission(&self) -> Result<(), RegistryError> {
        let what = self.what();
        let url = self.begin_plain(&what).await?;
        let question = self.question(Method::DELETE, Target::Url(url), &what);
        // Not every registry can give up an upload; each forgets it in time.
        let given_up = self.remote.ask_once(&question, &|request| request).await;
        tracing::debug!(?given_up, "a probe upload");
        Ok(())
    }

    /// For messages.
    pub(super) fn what(&self) -> String {
        format!("an upload to {}", self.target.familiar())
    }

    pub(super) fn question<'q>(
        &'q self,
        method: Method,
        target: Target<'q>,
        what: &'q str,
    ) -> Question<'q> {
        Question {
            method,
            target,
            repository: self.target.repository(),
            operation: Operation::Push,
            what,
            sent: None,
        }
    }

    /// The blob, when the registry lacks it.
    pub(super) async fn missing<'a>(
        &self,
        blob: &'a Descriptor,
    ) -> Result<Option<&'a Descriptor>, RegistryError> {
        let path = format!("blobs/{}", blob.digest);
        let what = self.target.familiar();
        let question = self.question(Method::HEAD, Target::Path(&path), &what);
        let response = self.remote.ask_any(&question, |request| request).await?;
        match response.status() {
            StatusCode::OK => Ok(None),
            StatusCode::NOT_FOUND => Ok(Some(blob)),
            _ => Err(self.remote.refusal(response, &what).await),
        }
    }

    /// Repository of the run image, when the target's registry has it.
    pub(super) fn same_registry(&self) -> Option<&str> {
        let origin = self.origin.as_ref()?;
        (origin.registry() == self.target.registry()).then(|| origin.repository())
    }

    async fn manifest(&self, image: &Image) -> Result<(), RegistryError> {
        let what = self.what();
        let path = format!("manifests/{}", self.target.version());
        let question = self.question(Method::PUT, Target::Path(&path), &what);
        let media_type = image.manifest.media_type.clone();
        let media_type = media_type.unwrap_or_else(|| media_type::MANIFEST.to_owned());
        let body = |request: reqwest::RequestBuilder| {
            request
                .header(CONTENT_TYPE, &media_type)
                .body(image.manifest_bytes.clone())
        };
        self.remote.ask(&question, body).await.map(drop)
    }
}
