//! Serves the blobs that the build may read.

use std::io::Read as _;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{Method, Response, StatusCode};

use super::reply::{Body, CONTENT_DIGEST, Code, Reply, empty, failed, header, refuse};
use super::scope::State;
use crate::images::digest::Digest;
use crate::store::BlobReader;

/// Bytes to read at a time.
const CHUNK: usize = 256 * 1024;

/// Serves a blob. For a HEAD request the size is enough, so locald fetches a
/// missing blob of the run image only for a GET request.
pub(super) async fn read(state: &State, version: &str, method: &Method) -> Reply {
    let Ok(digest) = version.parse::<Digest>() else {
        return refuse(Code::DigestInvalid, "not a SHA-256 digest");
    };
    let Some(size) = state.blob_size(&digest) else {
        return refuse(Code::BlobUnknown, "no such blob in this build");
    };
    let mut reply = if method == Method::HEAD {
        empty(StatusCode::OK)
    } else {
        match open(state, digest).await {
            Ok(blob) => Response::new(stream_file(blob)),
            Err(message) => return failed(&message),
        }
    };
    header(&mut reply, CONTENT_LENGTH, &size.to_string());
    header(&mut reply, CONTENT_TYPE, "application/octet-stream");
    header(&mut reply, CONTENT_DIGEST, &digest.to_string());
    reply
}

async fn open(state: &State, digest: Digest) -> Result<BlobReader, String> {
    if !state.store.has_blob(&digest) {
        (state.fetch)(digest).await?;
    }
    state
        .store
        .open_blob(&digest)
        .map_err(|error| error.to_string())
}

fn stream_file(file: BlobReader) -> Body {
    let chunks = stream::unfold(Some(file), async |file| {
        let mut file = file?;
        let mut buffer = vec![0; CHUNK];
        match tokio::task::block_in_place(|| file.read(&mut buffer)) {
            Ok(0) => None,
            Ok(count) => {
                buffer.truncate(count);
                Some((Ok(Frame::data(Bytes::from(buffer))), Some(file)))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    StreamBody::new(chunks).boxed_unsync()
}
