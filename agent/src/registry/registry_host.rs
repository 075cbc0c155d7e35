//! Holds one address of a registry, its own or a mirror's, with the accounts
//! and tokens for it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::input::Credential;
use reqwest::header::HeaderValue;
use reqwest::{Response, StatusCode, Url};

use super::address::is_internal;
use super::origin::Origin;
use super::request::Operation;
use crate::request::stream::{HostGone, RequestStream};

/// `Authorization` headers by repository and operation.
type Answers = HashMap<(String, Operation), HeaderValue>;

/// A registry or a mirror. Each has its own account and tokens, so a mirror
/// does not get those of the registry.
#[derive(Debug)]
pub(super) struct RegistryHost {
    url: Url,
    origin: Origin,
    /// The host whose account locald uses, as people write it.
    name: String,
    /// The account for each repository; absent if the user has none.
    credentials: tokio::sync::Mutex<HashMap<String, Option<Credential>>>,
    answers: Mutex<Answers>,
}

impl RegistryHost {
    pub(super) fn new(url: Url, name: &str) -> Self {
        Self {
            origin: Origin::of(&url),
            url,
            name: name.to_owned(),
            credentials: tokio::sync::Mutex::default(),
            answers: Mutex::default(),
        }
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The address of a path in a repository. The path may include a query.
    pub(super) fn at(&self, repository: &str, path: &str) -> Url {
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        let mut url = self.url.clone();
        let base = self.url.path().trim_end_matches('/');
        url.set_path(&format!("{base}/v2/{repository}/{path}"));
        url.set_query(query);
        url
    }

    /// Whether a response demands the account of this registry. A challenge
    /// from another server, after a redirect, does not count.
    pub(super) fn is_challenge(&self, answer: &Response) -> bool {
        answer.status() == StatusCode::UNAUTHORIZED && self.origin.owns(answer.url())
    }

    /// The account for a repository. Asks the host once for each repository,
    /// and only if the registry demands an account.
    pub(super) async fn credential(
        &self,
        stream: &RequestStream,
        repository: &str,
    ) -> Result<Option<Credential>, HostGone> {
        let mut known = self.credentials.lock().await;
        if let Some(credential) = known.get(repository) {
            return Ok(credential.clone());
        }
        let name = format!("{}/{repository}", self.name);
        let credential = stream.credential(&name).await?;
        known.insert(repository.to_owned(), credential.clone());
        Ok(credential)
    }

    /// The reason why locald does not trust a token server; absent if it does.
    /// The server must use HTTPS, unless the registry itself uses HTTP. A
    /// public registry must not name a token server in the caller's private
    /// network.
    pub(super) fn refusal_of(&self, realm: &Url) -> Option<&'static str> {
        let is_safe = match realm.scheme() {
            "https" => true,
            "http" => self.origin.is_plain(),
            _ => false,
        };
        if !is_safe {
            return Some("which is not an https address");
        }
        let (own, other) = (self.origin.host(), realm.host_str().unwrap_or_default());
        let leads_inside = own != other && is_internal(other) && !is_internal(own);
        leads_inside.then_some("which is in this machine's own network")
    }

    pub(super) fn answer(&self, key: &(String, Operation)) -> Option<HeaderValue> {
        self.answers().get(key).cloned()
    }

    pub(super) fn remember(&self, key: (String, Operation), answer: HeaderValue) {
        self.answers().insert(key, answer);
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
