//! Accepts uploads of blobs: monolithic, and in chunks.

use std::io::Write as _;
use std::sync::Arc;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{HeaderName, LOCATION, RANGE};
use hyper::{Method, Request, StatusCode};
use tokio::sync::Mutex;

use super::reply::{CONTENT_DIGEST, Code, Reply, empty, failed, header, refuse};
use super::scope::{Repository, State, Upload};
use crate::images::digest::Digest;
use crate::store::{BlobWriter, StoreError};

/// The most uploads at a time. The lifecycle uses a few.
const UPLOADS: usize = 64;
const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

pub(super) async fn handle(
    state: &State,
    repository: &Repository,
    id: &str,
    request: Request<Incoming>,
) -> Reply {
    let method = request.method().clone();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let digest = match parameter(&query, "digest").map(|text| text.parse::<Digest>()) {
        Some(Err(_)) => return refuse(Code::DigestInvalid, "not a SHA-256 digest"),
        Some(Ok(digest)) => Some(digest),
        None => None,
    };
    match (method, id) {
        (Method::POST, "") => start(state, repository, &query, digest, request.into_body()).await,
        (Method::PATCH, id) => append(state, repository, id, request.into_body()).await,
        (Method::PUT, id) => finish(state, repository, id, digest, request.into_body()).await,
        (Method::GET, id) => status(state, repository, id).await,
        (Method::DELETE, id) => {
            state.written().uploads.remove(id);
            empty(StatusCode::NO_CONTENT)
        }
        _ => refuse(Code::Unsupported, "not supported"),
    }
}

async fn start(
    state: &State,
    repository: &Repository,
    query: &str,
    digest: Option<Digest>,
    body: Incoming,
) -> Reply {
    let mounted = parameter(query, "mount").and_then(|text| text.parse().ok());
    if let Some(digest) = mounted.filter(|digest| state.blob_size(digest).is_some()) {
        return created(repository, &digest);
    }
    let writer = match state.store.blob_writer() {
        Ok(writer) => writer,
        Err(error) => return failed(&error),
    };
    let upload: Upload = Arc::new(Mutex::new(Some(writer)));
    if let Some(digest) = digest {
        return commit(state, repository, &upload, &digest, body).await;
    }
    let id = {
        let mut written = state.written();
        if written.uploads.len() >= UPLOADS {
            return refuse(Code::BlobUploadInvalid, "too many uploads at a time");
        }
        written.next_upload += 1;
        let id = written.next_upload.to_string();
        written.uploads.insert(id.clone(), upload);
        id
    };
    accepted(repository, &id, 0)
}

async fn append(state: &State, repository: &Repository, id: &str, body: Incoming) -> Reply {
    let Some(upload) = find(state, id) else {
        return refuse(Code::BlobUploadUnknown, "no such upload");
    };
    let mut writer = upload.lock().await;
    match receive(&mut writer, body).await {
        Ok(size) => accepted(repository, id, size),
        Err(reply) => reply,
    }
}

async fn finish(
    state: &State,
    repository: &Repository,
    id: &str,
    digest: Option<Digest>,
    body: Incoming,
) -> Reply {
    let Some(digest) = digest else {
        return refuse(Code::DigestInvalid, "an upload ends with its digest");
    };
    let Some(upload) = state.written().uploads.remove(id) else {
        return refuse(Code::BlobUploadUnknown, "no such upload");
    };
    commit(state, repository, &upload, &digest, body).await
}

async fn commit(
    state: &State,
    repository: &Repository,
    upload: &Upload,
    digest: &Digest,
    body: Incoming,
) -> Reply {
    let mut writer = upload.lock().await;
    if let Err(reply) = receive(&mut writer, body).await {
        return reply;
    }
    let Some(writer) = writer.take() else {
        return refuse(Code::BlobUploadUnknown, "the upload has ended");
    };
    match tokio::task::block_in_place(|| writer.commit(Some(digest))) {
        Ok((digest, size)) => {
            state.add_blob(digest, size);
            created(repository, &digest)
        }
        Err(error @ StoreError::Mismatch { .. }) => refuse(Code::DigestInvalid, error.to_string()),
        Err(error) => failed(&error),
    }
}

async fn status(state: &State, repository: &Repository, id: &str) -> Reply {
    let Some(upload) = find(state, id) else {
        return refuse(Code::BlobUploadUnknown, "no such upload");
    };
    let size = upload.lock().await.as_ref().map_or(0, BlobWriter::size);
    let mut reply = accepted(repository, id, size);
    *reply.status_mut() = StatusCode::NO_CONTENT;
    reply
}

fn find(state: &State, id: &str) -> Option<Upload> {
    state.written().uploads.get(id).cloned()
}

/// Appends a body to an upload. Returns the size of the upload so far, in
/// bytes.
async fn receive(writer: &mut Option<BlobWriter>, mut body: Incoming) -> Result<u64, Reply> {
    let Some(writer) = writer else {
        return Err(refuse(Code::BlobUploadUnknown, "the upload has ended"));
    };
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(refuse(Code::BlobUploadInvalid, "the upload broke"));
        };
        if let Some(bytes) = frame.data_ref() {
            tokio::task::block_in_place(|| writer.write_all(bytes))
                .map_err(|error| failed(&error))?;
        }
    }
    Ok(writer.size())
}

fn accepted(repository: &Repository, id: &str, size: u64) -> Reply {
    let mut reply = empty(StatusCode::ACCEPTED);
    let location = format!("/v2/{}/blobs/uploads/{id}", repository.path);
    header(&mut reply, LOCATION, &location);
    header(&mut reply, UPLOAD_ID, id);
    header(&mut reply, RANGE, &format!("0-{}", size.saturating_sub(1)));
    reply
}

fn created(repository: &Repository, digest: &Digest) -> Reply {
    let mut reply = empty(StatusCode::CREATED);
    let location = format!("/v2/{}/blobs/{digest}", repository.path);
    header(&mut reply, LOCATION, &location);
    header(&mut reply, CONTENT_DIGEST, &digest.to_string());
    reply
}

/// A parameter of a query. Clients escape only the colon of a digest.
fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.into_iter().find(|(key, _)| *key == name)?.1;
    Some(value.replace("%3A", ":").replace("%3a", ":"))
}
