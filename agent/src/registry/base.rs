//! Where a registry, or a mirror of it, answers, and who asks there.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::input::Credential;
use reqwest::Url;
use reqwest::header::HeaderValue;
use tokio::sync::OnceCell;

use super::RegistryError;
use super::address::is_internal;
use super::remote::Operation;
use crate::dialogue::Dialogue;

/// Answers to challenges, by what they are for.
type Answers = HashMap<(String, Operation), HeaderValue>;

/// An address that is asked. An account and what it was traded for belong to
/// one of them: a mirror does not learn what is meant for the registry.
#[derive(Debug)]
pub(super) struct Base {
    /// Without a slash at its end.
    pub(super) url: String,
    /// Whose account is used, as people write it.
    name: String,
    credential: OnceCell<Option<Credential>>,
    answers: Mutex<Answers>,
}

impl Base {
    pub(super) fn new(url: String, name: &str) -> Self {
        Self {
            url,
            name: name.to_owned(),
            credential: OnceCell::new(),
            answers: Mutex::default(),
        }
    }

    /// The host is asked once, and only when somebody wants to know.
    pub(super) async fn credential(
        &self,
        dialogue: &Dialogue,
    ) -> Result<Option<Credential>, RegistryError> {
        let ask = || dialogue.credential(&self.name);
        Ok(self.credential.get_or_try_init(ask).await?.clone())
    }

    /// Why a token server is not to be trusted: it must be as safe as who names
    /// it, and who is in the internet names none in the network of who asks.
    pub(super) fn refusal_of(&self, realm: &str) -> Option<&'static str> {
        let is_plain = self.url.starts_with("http://");
        if !(realm.starts_with("https://") || (is_plain && realm.starts_with("http://"))) {
            return Some("is not an https address");
        }
        let host = |url: &str| Some(Url::parse(url).ok()?.host_str()?.to_owned());
        let own = host(&self.url);
        let is_own = own.as_deref().is_some_and(is_internal);
        let realm = host(realm).filter(|host| Some(host) != own.as_ref());
        let leads_inside = realm.as_deref().is_some_and(is_internal) && !is_own;
        leads_inside.then_some("is in this machine's own network")
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
