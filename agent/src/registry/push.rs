//! From the store to a registry; only what it lacks travels.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::Event;
use protocol::event::PushEvent;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Body, Method, Response, StatusCode, Url};

use super::remote::{Operation, Question, Remote};
use super::{Registry, RegistryError};
use crate::digest::Digest;
use crate::media_type;
use crate::reference::ImageRef;
use crate::store::{Descriptor, Image, Store};

/// Blobs that travel at a time.
const PARALLEL: usize = 3;
/// Bytes read from a blob at a time.
const CHUNK: usize = 256 * 1024;

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
    registry: Registry,
    store: Store,
    remote: Arc<Remote>,
    target: ImageRef,
    /// Where layers that the store lacks can be had: the run image.
    origin: Option<ImageRef>,
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
        let done = Arc::new(AtomicU64::new(sent));
        let uploads: Vec<_> = missing
            .into_iter()
            .map(|blob| self.blob(blob, self.reporter(Arc::clone(&done), bytes)))
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
        let what = format!("an upload to {}", self.target.familiar());
        let question = self.question(Method::POST, "blobs/uploads/", &what);
        let empty = |request: reqwest::RequestBuilder| request.header(CONTENT_LENGTH, 0);
        let response = self.remote.ask(&question, empty).await?;
        let url = self.location(&response, &what)?;
        let question = self.question(Method::DELETE, url.as_str(), &what);
        // Not every registry can give up an upload; each forgets it in time.
        let given_up = self.remote.ask_any(&question, |request| request).await;
        tracing::debug!(?given_up, "a probe upload");
        Ok(())
    }

    fn reporter(
        &self,
        done: Arc<AtomicU64>,
        total: u64,
    ) -> impl Fn(u64) + Send + Sync + Clone + 'static {
        let (dialogue, image) = (self.registry.dialogue.clone(), self.target.familiar());
        move |sent| {
            let done = done.fetch_add(sent, Ordering::Relaxed) + sent;
            let image = image.clone();
            dialogue.progress(Event::Push(PushEvent::Progress { image, done, total }));
        }
    }

    fn question<'q>(&'q self, method: Method, path: &'q str, what: &'q str) -> Question<'q> {
        Question {
            method,
            path,
            repository: self.target.repository(),
            operation: Operation::Push,
            what,
        }
    }

    /// The blob, when the registry lacks it.
    pub(super) async fn missing<'a>(
        &self,
        blob: &'a Descriptor,
    ) -> Result<Option<&'a Descriptor>, RegistryError> {
        let path = format!("blobs/{}", blob.digest);
        let what = self.target.familiar();
        let question = self.question(Method::HEAD, &path, &what);
        let response = self.remote.ask_any(&question, |request| request).await?;
        match response.status() {
            StatusCode::OK => Ok(None),
            StatusCode::NOT_FOUND => Ok(Some(blob)),
            _ => Err(self.remote.refusal(response, &what).await),
        }
    }

    /// Uploads a blob, or lets the registry take it from the run image.
    pub(super) async fn blob(
        &self,
        blob: &Descriptor,
        report: impl Fn(u64) + Send + Sync + Clone + 'static,
    ) -> Result<Way, RegistryError> {
        let what = format!("an upload to {}", self.target.familiar());
        let path = match self.same_registry() {
            Some(from) => format!("blobs/uploads/?mount={}&from={from}", blob.digest),
            None => "blobs/uploads/".to_owned(),
        };
        let question = self.question(Method::POST, &path, &what);
        let empty = |request: reqwest::RequestBuilder| request.header(CONTENT_LENGTH, 0);
        let response = self.remote.ask(&question, empty).await?;
        if response.status() == StatusCode::CREATED {
            return Ok(Way::There);
        }
        let mut url = self.location(&response, &what)?;
        url.query_pairs_mut()
            .append_pair("digest", &blob.digest.to_string());
        if let Some(origin) = &self.origin {
            self.registry.fetch_blob(&self.store, origin, blob).await?;
        }
        let question = self.question(Method::PUT, url.as_str(), &what);
        let path = self.store.blob_path(&blob.digest);
        let size = blob.size;
        let body = move |request: reqwest::RequestBuilder| {
            let body = file_body(path.clone(), report.clone());
            request
                .header(CONTENT_LENGTH, size)
                .header(CONTENT_TYPE, "application/octet-stream")
                .body(body)
        };
        self.remote.ask(&question, body).await?;
        Ok(Way::Uploaded)
    }

    /// Repository of the run image, when the target's registry has it.
    fn same_registry(&self) -> Option<&str> {
        let origin = self.origin.as_ref()?;
        (origin.registry() == self.target.registry()).then(|| origin.repository())
    }

    /// The address of an upload that the registry has begun.
    fn location(&self, response: &Response, what: &str) -> Result<Url, RegistryError> {
        let header = response.headers().get(LOCATION);
        let location = header.and_then(|value| value.to_str().ok());
        let url = location.and_then(|location| response.url().join(location).ok());
        url.ok_or_else(|| self.remote.nonsense(what, "no usable Location"))
    }

    async fn manifest(&self, image: &Image) -> Result<(), RegistryError> {
        let what = format!("an upload to {}", self.target.familiar());
        let path = format!("manifests/{}", self.target.version());
        let question = self.question(Method::PUT, &path, &what);
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

/// A blob's bytes, read as they are sent.
fn file_body(path: std::path::PathBuf, report: impl Fn(u64) + Send + Sync + 'static) -> Body {
    let (sink, source) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(4);
    tokio::task::spawn_blocking(move || {
        let send = || -> std::io::Result<()> {
            let mut file = fs_err::File::open(&path)?;
            let mut buffer = vec![0; CHUNK];
            loop {
                let count = file.read(&mut buffer)?;
                if count == 0 {
                    return Ok(());
                }
                let chunk = Bytes::copy_from_slice(&buffer[..count]);
                if sink.blocking_send(Ok(chunk)).is_err() {
                    return Ok(());
                }
                report(count as u64);
            }
        };
        if let Err(error) = send() {
            let _ = sink.blocking_send(Err(error));
        }
    });
    Body::wrap_stream(stream::unfold(source, async |mut source| {
        source.recv().await.map(|chunk| (chunk, source))
    }))
}
