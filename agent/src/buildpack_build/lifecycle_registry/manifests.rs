//! Serves manifests by tag or digest, and accepts them under the build's
//! references.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use hyper::{Method, StatusCode};

use super::reply::{CONTENT_DIGEST, Code, Reply, empty, failed, header, refuse, with_body};
use super::scope::{Repository, State};
use crate::images::digest::Digest;
use crate::images::media_type;
use crate::store::{DOCUMENT_CAP, Descriptor, Manifest};

pub(super) fn read(
    state: &State,
    repository: &Repository,
    version: &str,
    method: &Method,
) -> Reply {
    let Some(manifest) = state.manifest(repository, version) else {
        return refuse(Code::ManifestUnknown, "no such manifest in this build");
    };
    let bytes = match state.store.read_blob(&manifest.digest, DOCUMENT_CAP) {
        Ok(bytes) => bytes,
        Err(error) => return failed(&error),
    };
    let length = bytes.len().to_string();
    let mut reply = if method == Method::HEAD {
        empty(StatusCode::OK)
    } else {
        with_body(StatusCode::OK, Bytes::from(bytes))
    };
    header(&mut reply, CONTENT_LENGTH, &length);
    header(&mut reply, CONTENT_TYPE, &manifest.media_type);
    header(&mut reply, CONTENT_DIGEST, &manifest.digest.to_string());
    reply
}

pub(super) async fn write(
    state: &State,
    repository: &Repository,
    version: &str,
    body: Incoming,
) -> Reply {
    let cap = usize::try_from(DOCUMENT_CAP).unwrap_or(usize::MAX);
    let Ok(body) = Limited::new(body, cap).collect().await else {
        return refuse(Code::ManifestInvalid, "a manifest has at most 4 MiB");
    };
    let bytes = body.to_bytes();
    let digest = Digest::of(&bytes);
    let manifest = match Manifest::parse(&digest, &bytes) {
        Ok(manifest) => manifest,
        Err(error) => return refuse(Code::ManifestInvalid, error.to_string()),
    };
    let mut needed = manifest.layers.iter().chain([&manifest.config]);
    if let Some(missing) = needed.find(|blob| state.blob_size(&blob.digest) != Some(blob.size)) {
        let message = format!("{} was not uploaded, or has another size", missing.digest);
        return refuse(Code::ManifestBlobUnknown, message);
    }
    if let Err(error) = state.store.write_blob(&bytes) {
        return failed(&error);
    }
    let media_type = manifest
        .media_type
        .as_deref()
        .unwrap_or(media_type::MANIFEST);
    let descriptor = Descriptor {
        media_type: media_type.to_owned(),
        digest,
        size: bytes.len() as u64,
    };
    if !state.stage(repository, version, &descriptor) {
        return refuse(Code::Denied, "this build may not write this tag");
    }
    let mut reply = empty(StatusCode::CREATED);
    let location = format!("/v2/{}/manifests/{digest}", repository.path);
    header(&mut reply, LOCATION, &location);
    header(&mut reply, CONTENT_DIGEST, &digest.to_string());
    reply
}
