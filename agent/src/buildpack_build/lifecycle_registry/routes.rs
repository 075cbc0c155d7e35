//! Parses the path of a request, and calls the code that answers it.

use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode};

use super::reply::{Code, Reply, empty, refuse};
use super::scope::{Repository, State};
use super::{blobs, manifests, uploads};

pub(super) async fn route(state: &State, request: Request<Incoming>) -> Reply {
    let path = request.uri().path().to_owned();
    tracing::debug!(method = %request.method(), uri = %request.uri(), "the lifecycle's registry");
    if path == "/v2/" || path == "/v2" {
        return empty(StatusCode::OK);
    }
    let Some((repository, resource, version)) = split(&path) else {
        return refuse(Code::NameUnknown, "no such resource");
    };
    let repository = Repository {
        registry: registry(&request),
        path: repository.to_owned(),
    };
    if !state.knows(&repository) {
        // A 404 would mean to the lifecycle that it may read the repository. It
        // would then build on another run image than the chosen one.
        let message = "this build has nothing to do with the repository";
        return refuse(Code::Denied, message);
    }
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match resource {
        Resource::Manifest if is_read => {
            manifests::read(state, &repository, version, request.method())
        }
        Resource::Blob if is_read => blobs::read(state, version, request.method()).await,
        _ if !state.may_write(&repository) => {
            refuse(Code::Denied, "this build may not write to the repository")
        }
        Resource::Manifest if request.method() == Method::PUT => {
            manifests::write(state, &repository, version, request.into_body()).await
        }
        Resource::Upload => uploads::handle(state, &repository, version, request).await,
        _ => refuse(Code::Unsupported, "not supported"),
    }
}

enum Resource {
    Manifest,
    Blob,
    Upload,
}

/// Parses `/v2/REPOSITORY/KIND/VERSION`. A repository may contain slashes.
fn split(path: &str) -> Option<(&str, Resource, &str)> {
    let rest = path.strip_prefix("/v2/")?;
    let kinds = [
        ("/blobs/uploads/", Resource::Upload),
        ("/manifests/", Resource::Manifest),
        ("/blobs/", Resource::Blob),
    ];
    for (kind, resource) in kinds {
        if let Some((repository, version)) = rest.rsplit_once(kind) {
            return Some((repository, resource, version));
        }
    }
    let repository = rest.strip_suffix("/blobs/uploads")?;
    Some((repository, Resource::Upload, ""))
}

/// The registry that the client has addressed.
fn registry(request: &Request<Incoming>) -> String {
    let authority = request.uri().authority().map(ToString::to_string);
    let host = || {
        let value = request.headers().get(HOST)?;
        value.to_str().ok().map(str::to_owned)
    };
    authority.or_else(host).unwrap_or_default()
}
