//! Describes one request to a registry, and an attempt that failed.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use reqwest::{Method, Url};

use super::RegistryError;

/// What a token must allow.
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
    /// For messages: "manifest 1.0 of app".
    pub(super) what: &'a str,
    /// How much of the request's body has been sent, if it has one.
    pub(super) sent: Option<&'a AtomicU64>,
}

/// What is asked for.
pub(super) enum Target<'a> {
    /// A path below `/v2/REPOSITORY/`.
    Path(&'a str),
    /// An address that the registry has named.
    Url(Url),
}

/// An attempt that brought no answer.
#[derive(Debug)]
pub(super) struct AttemptError {
    pub(super) error: RegistryError,
    /// Whether another attempt may bring one.
    pub(super) passing: bool,
    /// How long the server wants to be left alone.
    pub(super) pause: Option<Duration>,
}

impl AttemptError {
    pub(super) fn last(error: impl Into<RegistryError>) -> Self {
        Self {
            error: error.into(),
            passing: false,
            pause: None,
        }
    }

    /// In a few words.
    pub(super) fn reason(&self) -> String {
        match &self.error {
            RegistryError::Unreachable { source, .. } => source.root_cause(),
            error => error.to_string(),
        }
    }
}
