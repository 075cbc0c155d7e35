//! Makes the HTTP responses, with the error codes of the distribution
//! specification.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

pub(super) type Body = UnsyncBoxBody<Bytes, std::io::Error>;
pub(super) type Reply = Response<Body>;

/// An error code of the distribution specification.
#[derive(Debug, Clone, Copy)]
pub(super) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    Denied,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameUnknown,
    Unsupported,
}

impl Code {
    fn status_and_text(self) -> (StatusCode, &'static str) {
        match self {
            Self::BlobUnknown => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
            Self::BlobUploadInvalid => (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
            Self::BlobUploadUnknown => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
            Self::Denied => (StatusCode::FORBIDDEN, "DENIED"),
            Self::DigestInvalid => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            Self::ManifestBlobUnknown => (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN"),
            Self::ManifestInvalid => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
            Self::ManifestUnknown => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            Self::NameUnknown => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
            Self::Unsupported => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
        }
    }
}

/// A response with an error code and a message.
pub(super) fn refuse(code: Code, message: impl Into<String>) -> Reply {
    let (status, text) = code.status_and_text();
    let message: String = message.into();
    let document = serde_json::json!({"errors": [{"code": text, "message": message}]});
    let mut reply = with_body(status, Bytes::from(document.to_string()));
    let json = HeaderValue::from_static("application/json");
    reply.headers_mut().insert(CONTENT_TYPE, json);
    reply
}

/// A response for a failure of the registry itself.
pub(super) fn failed(error: &dyn std::fmt::Display) -> Reply {
    tracing::warn!(%error, "the lifecycle's registry");
    let message = format!("locald's store: {error}");
    let document = serde_json::json!({"errors": [{"code": "UNKNOWN", "message": message}]});
    with_body(
        StatusCode::INTERNAL_SERVER_ERROR,
        Bytes::from(document.to_string()),
    )
}

pub(super) fn empty(status: StatusCode) -> Reply {
    with_body(status, Bytes::new())
}

pub(super) fn with_body(status: StatusCode, bytes: Bytes) -> Reply {
    let body = Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply
}

/// Sets a header. Skips it if the value is not a valid header value.
pub(super) fn header(reply: &mut Reply, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
}

/// The name of the header `Docker-Content-Digest`.
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
