//! Describes one request to a registry, and a failed attempt.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use reqwest::{Method, Url};

use super::RegistryError;

/// The operation that a token must permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Pull,
    Push,
}

/// One request to a registry.
pub(super) struct RegistryRequest<'a> {
    pub(super) method: Method,
    pub(super) target: Target<'a>,
    pub(super) repository: &'a str,
    pub(super) operation: Operation,
    /// The object, for messages: "manifest 1.0 of app".
    pub(super) what: &'a str,
    /// Bytes of the request's body that have been sent, if it has a body.
    pub(super) sent: Option<&'a AtomicU64>,
}

/// The address of a request.
pub(super) enum Target<'a> {
    /// A path below `/v2/REPOSITORY/`.
    Path(&'a str),
    /// An address that the registry has named.
    Url(Url),
}

/// A failed attempt.
#[derive(Debug)]
pub(super) struct AttemptError {
    pub(super) error: RegistryError,
    /// Whether another attempt may succeed.
    pub(super) is_transient: bool,
    /// The pause that the server demands before the next attempt.
    pub(super) pause: Option<Duration>,
}

impl AttemptError {
    pub(super) fn last(error: impl Into<RegistryError>) -> Self {
        Self {
            error: error.into(),
            is_transient: false,
            pause: None,
        }
    }

    /// The reason in a few words, for messages.
    pub(super) fn reason(&self) -> String {
        match &self.error {
            RegistryError::Unreachable { source, .. } => source.root_cause(),
            error => error.to_string(),
        }
    }
}
