//! One registry: where it is, how it is reached, and patience with it.

mod auth;
mod refusal;
mod scope;
mod token;

use std::time::Duration;

use protocol::event::PullEvent;
use protocol::request::{RegistryAccess, RegistrySettings};
use protocol::{DATA_CAP, Event};
use reqwest::header::HeaderValue;
use reqwest::{Client, Method, RequestBuilder, Response, Url};

use super::RegistryError;
use super::address::{BadAddress, bases};
use super::exchange::{Exchange, Secret};
use super::http::client;
use super::patience::{Pace, Patience, TransportError};
use super::refusal::{is_passing, retry_after};
use super::registry_host::Base;
use super::request::{Fault, Question, Target};
use super::server::Server;
use crate::images::reference::registry_name;
use crate::request::stream::Dialogue;

/// Bytes must come at least this often.
pub(super) const IDLE: Duration = Duration::from_mins(1);
/// Attempts at one request before it fails.
pub(super) const ATTEMPTS: u32 = 5;
/// The first pause; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(400);
/// The longest pause that a registry may ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The most bytes of a document.
const BODY_CAP: usize = 4 * DATA_CAP;

/// One registry, for one request of the host.
#[derive(Debug)]
pub(super) struct Remote {
    /// As image references have it.
    registry: String,
    /// Asked when it can answer.
    mirror: Option<Base>,
    base: Base,
    client: Client,
    idle: Duration,
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
        let unusable = |source| RegistryError::Settings {
            registry: registry_name(registry).to_owned(),
            source,
        };
        let client = client(&certificates, &access.proxies);
        let client = client.map_err(|error| unusable(error.into()))?;
        let (mirror, base) =
            bases(registry, settings).map_err(|error: BadAddress| unusable(error.into()))?;
        Ok(Self {
            registry: registry.to_owned(),
            mirror: mirror
                .zip(settings.and_then(RegistrySettings::mirror_name))
                .map(|(url, name)| Base::new(url, name)),
            base: Base::new(base, registry_name(registry)),
            client,
            idle,
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

    pub(super) fn patience(&self) -> Patience<'_> {
        Patience::Idle(self.idle)
    }

    pub(super) fn pace(&self) -> Pace {
        Pace::new(self.idle)
    }

    /// Whether an address is the registry's, or its mirror's.
    pub(super) fn owns(&self, url: &Url) -> bool {
        let mut bases = self.mirror.iter().chain([&self.base]);
        bases.any(|base| base.origin().owns(url))
    }

    pub(super) fn unreachable(&self, source: TransportError) -> RegistryError {
        let server = Server::Registry(self.name().to_owned());
        RegistryError::Unreachable { server, source }
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
            let (pause, reason) = match self.ask_once(question, &extend).await {
                Ok(response) if !is_passing(response.status()) || attempt == ATTEMPTS => {
                    return Ok(response);
                }
                Ok(response) => (retry_after(&response), response.status().to_string()),
                Err(fault) if !fault.passing || attempt == ATTEMPTS => return Err(fault.error),
                Err(fault) => (fault.pause, fault.reason()),
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
    pub(super) async fn ask_once(
        &self,
        question: &Question<'_>,
        extend: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Fault> {
        let reads = matches!(question.method, Method::GET | Method::HEAD);
        if let Some(mirror) = self.mirror.as_ref().filter(|_| reads) {
            match self.ask_base(mirror, question, extend).await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => tracing::debug!(status = %response.status(), "mirror"),
                Err(fault) => tracing::debug!(error = %fault.error, "mirror"),
            }
        }
        self.ask_base(&self.base, question, extend).await
    }

    async fn ask_base(
        &self,
        base: &Base,
        question: &Question<'_>,
        extend: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Fault> {
        let key = (question.repository.to_owned(), question.operation);
        let known = base.answer(&key);
        let response = self.send(base, question, known.as_ref(), extend).await?;
        if !base.is_challenge(&response) {
            return Ok(response);
        }
        match auth::answer(self, base, &response, question).await? {
            Some(answer) if Some(&answer) != known.as_ref() => {
                let repeated = self.send(base, question, Some(&answer), extend).await?;
                base.remember(key, answer);
                Ok(repeated)
            }
            _ => Ok(response),
        }
    }

    async fn send(
        &self,
        base: &Base,
        question: &Question<'_>,
        answer: Option<&HeaderValue>,
        extend: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Fault> {
        let url = match &question.target {
            Target::Path(path) => base.at(question.repository, path),
            Target::Url(url) => url.clone(),
        };
        let exchange = Exchange {
            client: &self.client,
            method: &question.method,
            url: &url,
            owner: base.origin(),
            secret: answer.map_or(Secret::None, Secret::Authorization),
            patience: question.sent.map_or(self.patience(), Patience::upload),
        };
        exchange.send(extend).await.map_err(|source| Fault {
            passing: !source.is_final(),
            pause: None,
            error: self.unreachable(source),
        })
    }

    /// A small body, whole.
    pub(super) async fn body(
        &self,
        mut response: Response,
        what: &str,
    ) -> Result<Vec<u8>, RegistryError> {
        let (mut bytes, mut pace) = (Vec::new(), self.pace());
        loop {
            match pace.next(response.chunk()).await {
                Ok(None) => return Ok(bytes),
                Ok(Some(chunk)) if bytes.len() + chunk.len() <= BODY_CAP => bytes.extend(chunk),
                Ok(Some(_)) => return Err(self.nonsense(what, "more than 4 MiB")),
                Err(error) => return Err(self.unreachable(error)),
            }
        }
    }
}
