//! One registry: where it is, how it is reached, and patience with it.

use std::time::Duration;

use protocol::event::PullEvent;
use protocol::request::{RegistryAccess, RegistrySettings};
use protocol::{DATA_CAP, Event};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};

use super::address::bases;
use super::base::Base;
use super::client::client;
use super::{RegistryError, auth};
use crate::dialogue::Dialogue;
use crate::reference::registry_name;

/// Bytes must come at least this often.
pub(super) const IDLE: Duration = Duration::from_mins(1);
/// Attempts at one request before it fails.
const ATTEMPTS: u32 = 5;
/// The first pause; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(400);
/// The longest pause that a registry may ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The most bytes of a document.
const BODY_CAP: usize = 4 * DATA_CAP;

/// What a token must allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Pull,
    Push,
}

/// One question to a registry.
pub(super) struct Question<'a> {
    pub(super) method: Method,
    /// Below `/v2/REPOSITORY/`, or a whole URL.
    pub(super) path: &'a str,
    pub(super) repository: &'a str,
    pub(super) operation: Operation,
    /// For messages: "manifest 1.0 of app".
    pub(super) what: &'a str,
}

/// One registry, for one request of the host.
#[derive(Debug)]
pub(super) struct Remote {
    /// As image references have it.
    registry: String,
    /// Asked when it can answer.
    mirror: Option<Base>,
    base: Base,
    client: Client,
    dialogue: Dialogue,
}

impl Remote {
    pub(super) fn new(
        registry: &str,
        access: &RegistryAccess,
        idle: Duration,
        dialogue: Dialogue,
    ) -> Result<Self, RegistryError> {
        let wanted = |settings: &&RegistrySettings| {
            settings.name == registry || settings.name == registry_name(registry)
        };
        let settings = access.registries.iter().find(wanted);
        let own = settings.and_then(|settings| settings.ca.clone());
        let certificates: Vec<String> = own.into_iter().chain(access.extra_ca.clone()).collect();
        let client = client(&certificates, &access.proxies, idle).map_err(|source| {
            let registry = registry_name(registry).to_owned();
            RegistryError::Settings { registry, source }
        })?;
        let (mirror, base) = bases(registry, settings);
        Ok(Self {
            registry: registry.to_owned(),
            mirror: mirror
                .zip(settings.and_then(RegistrySettings::mirror_name))
                .map(|(url, name)| Base::new(url, name)),
            base: Base::new(base, registry_name(registry)),
            client,
            dialogue,
        })
    }

    /// The registry as people write it.
    pub(super) fn name(&self) -> &str {
        registry_name(&self.registry)
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn dialogue(&self) -> &Dialogue {
        &self.dialogue
    }

    pub(super) fn unreachable(&self, source: reqwest::Error) -> RegistryError {
        RegistryError::Unreachable {
            registry: self.name().to_owned(),
            source: source.without_url(),
        }
    }

    pub(super) fn nonsense(&self, what: &str, reason: impl Into<String>) -> RegistryError {
        RegistryError::Protocol {
            registry: self.name().to_owned(),
            what: what.to_owned(),
            reason: reason.into(),
        }
    }

    /// Asks until there is an answer that is no passing fault. An answer of
    /// another kind than success is an error.
    pub(super) async fn ask(
        &self,
        question: &Question<'_>,
        extend: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        let response = self.ask_any(question, extend).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response, question.what).await)
    }

    /// As [`ask`](Self::ask), but any answer that is not worth another attempt
    /// is returned.
    pub(super) async fn ask_any(
        &self,
        question: &Question<'_>,
        extend: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (pause, reason) = match self.ask_bases(question, &extend).await {
                Ok(response) if !is_passing(response.status()) || attempt == ATTEMPTS => {
                    return Ok(response);
                }
                Ok(response) => (retry_after(&response), response.status().to_string()),
                Err(error) if attempt == ATTEMPTS || error.is_builder() || is_refused(&error) => {
                    return Err(self.unreachable(error));
                }
                Err(error) => (None, root_cause(&error)),
            };
            self.pause(attempt, pause, reason, question.what).await;
        }
    }

    /// Waits before another attempt, and says so.
    pub(super) async fn pause(
        &self,
        attempt: u32,
        wanted: Option<Duration>,
        reason: String,
        what: &str,
    ) {
        let pause = wanted
            .unwrap_or(PAUSE * 2_u32.pow(attempt - 1))
            .min(LONGEST_PAUSE);
        self.dialogue.progress(Event::Pull(PullEvent::Retry {
            image: what.to_owned(),
            reason: format!("{}: {reason}", self.name()),
            millis: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        }));
        tokio::time::sleep(pause).await;
    }

    /// Asks the mirror first; what it does not have is asked of the registry.
    async fn ask_bases(
        &self,
        question: &Question<'_>,
        extend: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, reqwest::Error> {
        let reads = matches!(question.method, Method::GET | Method::HEAD);
        if let Some(mirror) = self.mirror.as_ref().filter(|_| reads) {
            match self.ask_base(mirror, question, extend).await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => tracing::debug!(status = %response.status(), "mirror"),
                Err(error) => tracing::debug!(%error, "mirror"),
            }
        }
        self.ask_base(&self.base, question, extend).await
    }

    async fn ask_base(
        &self,
        base: &Base,
        question: &Question<'_>,
        extend: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, reqwest::Error> {
        let url = if question.path.contains("://") {
            question.path.to_owned()
        } else {
            format!("{}/v2/{}/{}", base.url, question.repository, question.path)
        };
        let key = (question.repository.to_owned(), question.operation);
        let known = base.answer(&key);
        let request = || extend(self.client.request(question.method.clone(), &url));
        let response = auth::authorize(request(), known.as_ref()).send().await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        match auth::answer(self, base, &response, question).await {
            Ok(Some(answer)) if Some(&answer) != known.as_ref() => {
                let repeated = auth::authorize(request(), Some(&answer)).send().await?;
                base.remember(key, answer);
                Ok(repeated)
            }
            Ok(_) => Ok(response),
            Err(error) => {
                tracing::warn!(registry = self.name(), %error, "cannot log in");
                Ok(response)
            }
        }
    }

    /// The error that an answer stands for.
    pub(super) async fn refusal(&self, response: Response, what: &str) -> RegistryError {
        let status = response.status();
        let body = self.body(response, what).await.unwrap_or_default();
        let (registry, what) = (self.name().to_owned(), what.to_owned());
        let message = message(&body);
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RegistryError::Unauthorized {
                registry,
                what,
                message,
            },
            StatusCode::NOT_FOUND => RegistryError::NotFound { registry, what },
            _ => RegistryError::Status {
                registry,
                status: status.as_u16(),
                what,
                message,
            },
        }
    }

    /// A small body, whole.
    pub(super) async fn body(
        &self,
        mut response: Response,
        what: &str,
    ) -> Result<Vec<u8>, RegistryError> {
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(None) => return Ok(bytes),
                Ok(Some(chunk)) if bytes.len() + chunk.len() <= BODY_CAP => bytes.extend(chunk),
                Ok(Some(_)) => return Err(self.nonsense(what, "more than 4 MiB")),
                Err(error) => return Err(self.unreachable(error)),
            }
        }
    }
}

fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
        || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
}

/// Nobody listens, or the name means nothing: another attempt says the same.
fn is_refused(error: &reqwest::Error) -> bool {
    let cause = root_cause(error);
    error.is_connect()
        && [
            "refused",
            "lookup",
            "certificate",
            "InvalidContentType",
            "name",
        ]
        .iter()
        .any(|word| cause.contains(word))
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn retry_after(response: &Response) -> Option<Duration> {
    let header = response.headers().get(RETRY_AFTER)?;
    let seconds = header.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The message in a registry's error document.
fn message(body: &[u8]) -> String {
    let document: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &document["errors"][0];
    let text = error["message"].as_str().or(error["code"].as_str());
    text.unwrap_or_default().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_document_speaks_for_itself() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no quota"}]}"#;
        assert_eq!(message(body), "no quota");
        assert_eq!(message(b"<html>"), "");
    }
}
