//! Holds one address of a registry, the registry's own or a mirror's, with the
//! accounts and tokens for it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::input::Credential;
use reqwest::header::HeaderValue;
use reqwest::{Response, StatusCode, Url};

use super::address::is_internal;
use super::origin::Origin;
use super::request::Operation;
use crate::request::stream::{HostGone, RequestStream};

/// Answers to challenges, by what they are for.
type Answers = HashMap<(String, Operation), HeaderValue>;

/// An address that is asked. An account and what it was traded for belong to
/// one of them: a mirror does not learn what is meant for the registry.
#[derive(Debug)]
pub(super) struct RegistryHost {
    url: Url,
    origin: Origin,
    /// Whose account is used, as people write it.
    name: String,
    /// By repository.
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

    /// An address below a repository, perhaps with a query.
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

    /// Whether an answer asks for the account of this registry. Who answers in
    /// its place, after a redirect, asks for nothing.
    pub(super) fn is_challenge(&self, answer: &Response) -> bool {
        answer.status() == StatusCode::UNAUTHORIZED && self.origin.owns(answer.url())
    }

    /// The host is asked once for each repository, and only when the registry
    /// wants to know.
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

    /// Why a token server is not trusted; absent if it is. It must use https,
    /// unless the registry itself uses http. A public registry may not name a
    /// token server in the caller's private network.
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
