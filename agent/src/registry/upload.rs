//! Uploads one blob. After a failure the upload starts again, because
//! registries differ in how much of a broken upload they keep.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream;
use protocol::Event;
use protocol::event::PushEvent;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode, Url};

use super::client::ATTEMPTS;
use super::client::RegistryClient;
use super::exchange;
use super::refusal::{is_transient, retry_after};
use super::request::{AttemptError, Operation, RegistryRequest, Target};
use super::{Registry, RegistryError};
use crate::images::reference::ImageRef;
use crate::request::stream::RequestStream;
use crate::store::{Descriptor, Store};

/// Bytes to read from a blob at a time.
const CHUNK: usize = 256 * 1024;

/// The result of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transfer {
    /// The registry had the blob, or mounted it from another repository.
    AlreadyThere,
    Uploaded,
}

/// Uploads to one reference; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) registry: Registry,
    pub(super) store: Store,
    pub(super) client: Arc<RegistryClient>,
    pub(super) target: ImageRef,
    /// The run image, from which locald fetches layers that the store lacks.
    pub(super) origin: Option<ImageRef>,
}

impl Upload {
    /// Checks the permission to upload: starts an upload and cancels it at
    /// once.
    pub(super) async fn check_permission(&self) -> Result<(), RegistryError> {
        let what = self.what();
        let url = self.begin_plain(&what).await?;
        let request = self.request(Method::DELETE, Target::Url(url), &what);
        // Not every registry supports a cancellation. Each removes the upload
        // in time.
        let given_up = self.client.send_once(&request, &|request| request).await;
        tracing::debug!(?given_up, "a probe upload");
        Ok(())
    }

    /// The description of the upload, for messages.
    pub(super) fn what(&self) -> String {
        format!("an upload to {}", self.target.familiar())
    }

    pub(super) fn request<'q>(
        &'q self,
        method: Method,
        target: Target<'q>,
        what: &'q str,
    ) -> RegistryRequest<'q> {
        RegistryRequest {
            method,
            target,
            repository: self.target.repository(),
            operation: Operation::Push,
            what,
            sent: None,
        }
    }

    /// Returns the blob if the registry lacks it.
    pub(super) async fn missing<'a>(
        &self,
        blob: &'a Descriptor,
    ) -> Result<Option<&'a Descriptor>, RegistryError> {
        let path = format!("blobs/{}", blob.digest);
        let what = self.target.familiar();
        let request = self.request(Method::HEAD, Target::Path(&path), &what);
        let response = self.client.send_any(&request, |request| request).await?;
        match response.status() {
            StatusCode::OK => Ok(None),
            StatusCode::NOT_FOUND => Ok(Some(blob)),
            _ => Err(self.client.refusal(response, &what).await),
        }
    }

    /// The repository of the run image, if it is in the target's registry.
    pub(super) fn same_registry(&self) -> Option<&str> {
        let origin = self.origin.as_ref()?;
        (origin.registry() == self.target.registry()).then(|| origin.repository())
    }

    /// Uploads a blob, or mounts it from the repository of the run image.
    pub(super) async fn blob(
        &self,
        blob: &Descriptor,
        sent: &Sent,
    ) -> Result<Transfer, RegistryError> {
        let what = self.what();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let Some(url) = self.begin(blob, &what).await? else {
                return Ok(Transfer::AlreadyThere);
            };
            if let Some(origin) = &self.origin {
                self.registry.fetch_blob(&self.store, origin, blob).await?;
            }
            let (pause, reason) = match self.send(blob, url, &what, sent).await {
                Ok(answer) if answer.status().is_success() => return Ok(Transfer::Uploaded),
                Ok(answer) if attempt == ATTEMPTS || !begins_again(answer.status()) => {
                    return Err(self.client.refusal(answer, &what).await);
                }
                Ok(answer) => (retry_after(&answer), answer.status().to_string()),
                Err(fault) if attempt == ATTEMPTS || !fault.is_transient => return Err(fault.error),
                Err(fault) => (fault.pause, fault.reason()),
            };
            sent.take_back();
            self.client.pause(attempt, pause, reason, &what).await;
            // The registry may have the blob if only its response was lost.
            if self.missing(blob).await?.is_none() {
                return Ok(Transfer::Uploaded);
            }
        }
    }

    /// Starts an upload and returns its address. Absent if the registry mounted
    /// the blob from the repository of the run image.
    async fn begin(&self, blob: &Descriptor, what: &str) -> Result<Option<Url>, RegistryError> {
        if let Some(from) = self.same_registry() {
            let path = format!("blobs/uploads/?mount={}&from={from}", blob.digest);
            let request = self.request(Method::POST, Target::Path(&path), what);
            match self.client.send_any(&request, empty).await {
                Ok(answer) if answer.status() == StatusCode::CREATED => return Ok(None),
                Ok(answer) if answer.status().is_success() => {
                    return self.location(&answer, what).map(Some);
                }
                // Some registries do not support mounts, or refuse to mount a
                // blob that this account may not read.
                Ok(answer) => tracing::debug!(status = %answer.status(), "no mount"),
                Err(error) if error.is_unreachable() => return Err(error),
                Err(error) => tracing::debug!(%error, "no mount"),
            }
        }
        self.begin_plain(what).await.map(Some)
    }

    pub(super) async fn begin_plain(&self, what: &str) -> Result<Url, RegistryError> {
        let request = self.request(Method::POST, Target::Path("blobs/uploads/"), what);
        let answer = self.client.send(&request, empty).await?;
        self.location(&answer, what)
    }

    async fn send(
        &self,
        blob: &Descriptor,
        mut url: Url,
        what: &str,
        sent: &Sent,
    ) -> Result<Response, AttemptError> {
        url.query_pairs_mut()
            .append_pair("digest", &blob.digest.to_string());
        let request = RegistryRequest {
            sent: Some(&sent.bytes),
            ..self.request(Method::PUT, Target::Url(url), what)
        };
        let path = self.store.blob_path(&blob.digest);
        let body = |request: RequestBuilder| {
            sent.take_back();
            request
                .header(CONTENT_LENGTH, blob.size)
                .header(CONTENT_TYPE, "application/octet-stream")
                .body(file_body(path.clone(), sent.clone()))
        };
        self.client.send_once(&request, &body).await
    }

    /// The address of an upload, from the registry's response.
    fn location(&self, answer: &Response, what: &str) -> Result<Url, RegistryError> {
        let url = exchange::location(answer);
        url.ok_or_else(|| self.client.protocol_error(what, "no usable Location"))
    }
}

fn empty(request: RequestBuilder) -> RequestBuilder {
    request.header(CONTENT_LENGTH, 0)
}

/// Whether a new upload of the same blob may succeed. The registry may have
/// forgotten the first one.
fn begins_again(status: StatusCode) -> bool {
    is_transient(status)
        || status == StatusCode::NOT_FOUND
        || status == StatusCode::RANGE_NOT_SATISFIABLE
}

/// The bytes sent of a blob and of all blobs of its image.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    bytes: Arc<AtomicU64>,
    all: Option<Arc<Total>>,
}

/// The bytes of all blobs of an image.
#[derive(Debug)]
pub(super) struct Total {
    pub(super) stream: RequestStream,
    pub(super) image: String,
    pub(super) done: AtomicU64,
    pub(super) bytes: u64,
}

impl Sent {
    pub(super) fn new(all: Option<&Arc<Total>>) -> Self {
        Self {
            bytes: Arc::default(),
            all: all.cloned(),
        }
    }

    fn add(&self, count: u64) {
        self.bytes.fetch_add(count, Ordering::Relaxed);
        let Some(all) = &self.all else { return };
        let done = all.done.fetch_add(count, Ordering::Relaxed) + count;
        let (image, total) = (all.image.clone(), all.bytes);
        let progress = PushEvent::Progress { image, done, total };
        all.stream.progress(Event::Push(progress));
    }

    /// Subtracts the bytes of this blob, before it is sent again.
    fn take_back(&self) {
        let count = self.bytes.swap(0, Ordering::Relaxed);
        if let Some(all) = &self.all {
            all.done.fetch_sub(count, Ordering::Relaxed);
        }
    }
}

/// A request body that reads the blob's file as it is sent.
fn file_body(path: std::path::PathBuf, sent: Sent) -> Body {
    let (sink, source) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(4);
    tokio::task::spawn_blocking(move || {
        let read = || -> std::io::Result<()> {
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
            }
        };
        if let Err(error) = read() {
            let _ = sink.blocking_send(Err(error));
        }
    });
    Body::wrap_stream(stream::unfold(
        (source, sent),
        async |(mut source, sent)| {
            let chunk = source.recv().await?;
            if let Ok(chunk) = &chunk {
                sent.add(chunk.len() as u64);
            }
            Some((chunk, (source, sent)))
        },
    ))
}
