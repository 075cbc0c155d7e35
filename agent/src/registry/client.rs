//! Sends requests to one registry. Reads go to its mirror first. Adds an
//! account if the registry asks for one, and repeats a request after a
//! transient failure.

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
use super::refusal::{is_transient, retry_after};
use super::registry_host::RegistryHost;
use super::request::{AttemptError, RegistryRequest, Target};
use super::server::Server;
use super::timeout::{BodyTimeout, ResponseTimeout, TransportError};
use crate::images::reference::registry_name;
use crate::request::stream::RequestStream;

/// The longest time without a byte on a connection.
pub(super) const IDLE: Duration = Duration::from_mins(1);
/// Attempts at one request before it fails.
pub(super) const ATTEMPTS: u32 = 5;
/// The pause before the second attempt. Each further pause is twice as long.
const PAUSE: Duration = Duration::from_millis(400);
/// The longest pause that a registry may ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The most bytes of a response that holds a document.
const BODY_CAP: usize = 4 * DATA_CAP;

/// One registry, for one request of the host.
#[derive(Debug)]
pub(super) struct RegistryClient {
    /// The registry, as image references name it.
    registry: String,
    /// A mirror, which gets reads first.
    mirror: Option<RegistryHost>,
    host: RegistryHost,
    http: Client,
    idle: Duration,
    stream: RequestStream,
}

impl RegistryClient {
    pub(super) fn new(
        registry: &str,
        access: &RegistryAccess,
        idle: Duration,
        stream: RequestStream,
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
        let (mirror, host) =
            bases(registry, settings).map_err(|error: BadAddress| unusable(error.into()))?;
        Ok(Self {
            registry: registry.to_owned(),
            mirror: mirror
                .zip(settings.and_then(RegistrySettings::mirror_name))
                .map(|(url, name)| RegistryHost::new(url, name)),
            host: RegistryHost::new(host, registry_name(registry)),
            http: client,
            idle,
            stream,
        })
    }

    /// The registry's name, as people write it.
    pub(super) fn name(&self) -> &str {
        registry_name(&self.registry)
    }

    pub(super) fn http(&self) -> &Client {
        &self.http
    }

    pub(super) fn stream(&self) -> &RequestStream {
        &self.stream
    }

    pub(super) fn timeout(&self) -> ResponseTimeout<'_> {
        ResponseTimeout::Idle(self.idle)
    }

    pub(super) fn body_timeout(&self) -> BodyTimeout {
        BodyTimeout::new(self.idle)
    }

    /// Whether an address belongs to the registry or to its mirror.
    pub(super) fn owns(&self, url: &Url) -> bool {
        let mut bases = self.mirror.iter().chain([&self.host]);
        bases.any(|host| host.origin().owns(url))
    }

    pub(super) fn unreachable(&self, source: TransportError) -> RegistryError {
        let server = Server::Registry(self.name().to_owned());
        RegistryError::Unreachable { server, source }
    }

    pub(super) fn protocol_error(&self, what: &str, reason: impl Into<String>) -> RegistryError {
        RegistryError::Protocol {
            registry: self.name().to_owned(),
            what: what.to_owned(),
            reason: reason.into(),
        }
    }

    /// Sends a request until it succeeds or fails for good. Any status except
    /// success is an error.
    pub(super) async fn send(
        &self,
        request: &RegistryRequest<'_>,
        extend: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        let response = self.send_any(request, extend).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response, request.what).await)
    }

    /// Like [`send`](Self::send), and returns a response of any status. It
    /// still repeats the request after a transient failure.
    pub(super) async fn send_any(
        &self,
        request: &RegistryRequest<'_>,
        extend: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, RegistryError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (pause, reason) = match self.send_once(request, &extend).await {
                Ok(response) if !is_transient(response.status()) || attempt == ATTEMPTS => {
                    return Ok(response);
                }
                Ok(response) => (retry_after(&response), response.status().to_string()),
                Err(fault) if !fault.is_transient || attempt == ATTEMPTS => return Err(fault.error),
                Err(fault) => (fault.pause, fault.reason()),
            };
            self.pause(attempt, pause, reason, request.what).await;
        }
    }

    /// Waits before the next attempt, and reports the wait.
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
        self.stream.progress(Event::Pull(PullEvent::Retry {
            image: what.to_owned(),
            reason: format!("{}: {reason}", self.name()),
            millis: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        }));
        tokio::time::sleep(pause).await;
    }

    /// Sends a request to the mirror, and to the registry if the mirror lacks
    /// the content.
    pub(super) async fn send_once(
        &self,
        request: &RegistryRequest<'_>,
        extend: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, AttemptError> {
        let reads = matches!(request.method, Method::GET | Method::HEAD);
        if let Some(mirror) = self.mirror.as_ref().filter(|_| reads) {
            match self.send_to(mirror, request, extend).await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => tracing::debug!(status = %response.status(), "mirror"),
                Err(fault) => tracing::debug!(error = %fault.error, "mirror"),
            }
        }
        self.send_to(&self.host, request, extend).await
    }

    async fn send_to(
        &self,
        host: &RegistryHost,
        request: &RegistryRequest<'_>,
        extend: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, AttemptError> {
        let key = (request.repository.to_owned(), request.operation);
        let known = host.answer(&key);
        let response = self.exchange(host, request, known.as_ref(), extend).await?;
        if !host.is_challenge(&response) {
            return Ok(response);
        }
        match auth::answer(self, host, &response, request).await? {
            Some(answer) if Some(&answer) != known.as_ref() => {
                let repeated = self.exchange(host, request, Some(&answer), extend).await?;
                host.remember(key, answer);
                Ok(repeated)
            }
            _ => Ok(response),
        }
    }

    async fn exchange(
        &self,
        host: &RegistryHost,
        request: &RegistryRequest<'_>,
        answer: Option<&HeaderValue>,
        extend: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, AttemptError> {
        let url = match &request.target {
            Target::Path(path) => host.at(request.repository, path),
            Target::Url(url) => url.clone(),
        };
        let exchange = Exchange {
            client: &self.http,
            method: &request.method,
            url: &url,
            owner: host.origin(),
            secret: answer.map_or(Secret::None, Secret::Authorization),
            timeout: request.sent.map_or(self.timeout(), ResponseTimeout::upload),
        };
        exchange.send(extend).await.map_err(|source| AttemptError {
            is_transient: !source.is_final(),
            pause: None,
            error: self.unreachable(source),
        })
    }

    /// Reads a whole body of limited size.
    pub(super) async fn body(
        &self,
        mut response: Response,
        what: &str,
    ) -> Result<Vec<u8>, RegistryError> {
        let (mut bytes, mut body_timeout) = (Vec::new(), self.body_timeout());
        loop {
            match body_timeout.next(response.chunk()).await {
                Ok(None) => return Ok(bytes),
                Ok(Some(chunk)) if bytes.len() + chunk.len() <= BODY_CAP => bytes.extend(chunk),
                Ok(Some(_)) => return Err(self.protocol_error(what, "more than 4 MiB")),
                Err(error) => return Err(self.unreachable(error)),
            }
        }
    }
}
