//! From the store to a registry; only what it lacks travels.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use protocol::Event;
use protocol::event::PushEvent;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Body, Method, StatusCode};

use super::remote::{Operation, Question, Remote};
use super::{Registry, RegistryError};
use crate::digest::Digest;
use crate::reference::ImageRef;
use crate::store::{Descriptor, Image, Store};

/// Blobs that travel at a time.
const PARALLEL: usize = 3;
/// Bytes read from a blob at a time.
const CHUNK: usize = 256 * 1024;

/// One upload.
struct Upload<'a> {
    store: &'a Store,
    remote: &'a Remote,
    target: &'a ImageRef,
    /// Where layers that the store lacks can be had: the run image.
    origin: Option<&'a ImageRef>,
}

impl Registry {
    /// Uploads a stored image under a name.
    #[tracing::instrument(skip_all, fields(%target))]
    pub async fn push(
        &self,
        store: &Store,
        image: &Image,
        target: &ImageRef,
        origin: Option<&ImageRef>,
    ) -> Result<(), RegistryError> {
        let remote = self.remote(target).await?;
        let upload = Upload {
            store,
            remote: &remote,
            target,
            origin,
        };
        let mut blobs: Vec<&Descriptor> = image.manifest.layers.iter().collect();
        blobs.push(&image.manifest.config);
        blobs.sort_unstable_by_key(|blob| blob.digest);
        blobs.dedup_by_key(|blob| blob.digest);
        let total = blobs.len();
        let questions: Vec<_> = blobs
            .into_iter()
            .map(|blob| upload.is_missing(blob))
            .collect();
        let answers: Vec<Option<&Descriptor>> = stream::iter(questions)
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        let missing: Vec<&Descriptor> = answers.into_iter().flatten().collect();
        let bytes = missing.iter().map(|blob| blob.size).sum();
        let planned = PushEvent::Planned {
            image: target.familiar(),
            blobs: u32::try_from(total).unwrap_or(u32::MAX),
            missing: u32::try_from(missing.len()).unwrap_or(u32::MAX),
            bytes,
        };
        self.dialogue.event(Event::Push(planned)).await?;
        let done = Arc::new(AtomicU64::new(0));
        let uploads: Vec<_> = missing
            .into_iter()
            .map(|blob| {
                let report = self.push_reporter(target, Arc::clone(&done), bytes);
                self.push_blob(&upload, blob, report)
            })
            .collect();
        stream::iter(uploads)
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await?;
        upload.manifest(image).await?;
        let done = PushEvent::Done {
            image: target.familiar(),
            digest: image.digest.to_string(),
        };
        Ok(self.dialogue.event(Event::Push(done)).await?)
    }

    async fn push_blob(
        &self,
        upload: &Upload<'_>,
        blob: &Descriptor,
        report: impl Fn(u64) + Send + Sync + Clone + 'static,
    ) -> Result<(), RegistryError> {
        if let Some(origin) = upload.origin {
            self.fetch_blob(upload.store, origin, blob).await?;
        }
        upload.blob(blob, report).await
    }

    fn push_reporter(
        &self,
        target: &ImageRef,
        done: Arc<AtomicU64>,
        total: u64,
    ) -> impl Fn(u64) + Send + Sync + Clone + 'static {
        let (dialogue, image) = (self.dialogue.clone(), target.familiar());
        move |sent| {
            let done = done.fetch_add(sent, Ordering::Relaxed) + sent;
            let image = image.clone();
            dialogue.progress(Event::Push(PushEvent::Progress { image, done, total }));
        }
    }
}

impl<'a> Upload<'a> {
    fn question<'q>(&'q self, method: Method, path: &'q str, what: &'q str) -> Question<'q> {
        Question {
            method,
            path,
            repository: self.target.repository(),
            operation: Operation::Push,
            what,
        }
    }

    async fn is_missing(
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

    async fn blob(
        &self,
        blob: &Descriptor,
        report: impl Fn(u64) + Send + Sync + Clone + 'static,
    ) -> Result<(), RegistryError> {
        let what = format!("an upload to {}", self.target.familiar());
        let path = match self.same_registry() {
            Some(from) => format!("blobs/uploads/?mount={}&from={from}", blob.digest),
            None => "blobs/uploads/".to_owned(),
        };
        let question = self.question(Method::POST, &path, &what);
        let empty = |request: reqwest::RequestBuilder| request.header(CONTENT_LENGTH, 0);
        let response = self.remote.ask(&question, empty).await?;
        if response.status() == StatusCode::CREATED {
            return Ok(());
        }
        let url = self.location(&response, &blob.digest, &what)?;
        let question = self.question(Method::PUT, &url, &what);
        let path = self.store.blob_path(&blob.digest);
        let size = blob.size;
        let body = move |request: reqwest::RequestBuilder| {
            let body = file_body(path.clone(), report.clone());
            request
                .header(CONTENT_LENGTH, size)
                .header(CONTENT_TYPE, "application/octet-stream")
                .body(body)
        };
        self.remote.ask(&question, body).await.map(drop)
    }

    /// Repository of the run image, when the target's registry has it.
    fn same_registry(&self) -> Option<&str> {
        let origin = self.origin?;
        (origin.registry() == self.target.registry()).then(|| origin.repository())
    }

    /// The address for an upload's content.
    fn location(
        &self,
        response: &reqwest::Response,
        digest: &Digest,
        what: &str,
    ) -> Result<String, RegistryError> {
        let header = response.headers().get(LOCATION);
        let location = header.and_then(|value| value.to_str().ok());
        let url = location.and_then(|location| response.url().join(location).ok());
        let mut url = url.ok_or_else(|| self.remote.nonsense(what, "no usable Location"))?;
        url.query_pairs_mut()
            .append_pair("digest", &digest.to_string());
        Ok(url.to_string())
    }

    async fn manifest(&self, image: &Image) -> Result<(), RegistryError> {
        let what = format!("an upload to {}", self.target.familiar());
        let path = format!("manifests/{}", self.target.version());
        let question = self.question(Method::PUT, &path, &what);
        let media_type = image.manifest.media_type.clone();
        let media_type =
            media_type.unwrap_or_else(|| "application/vnd.oci.image.manifest.v1+json".to_owned());
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
