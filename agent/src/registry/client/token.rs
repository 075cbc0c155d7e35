//! Fetches tokens: the distribution specification's token protocol, and OAuth 2
//! for identity tokens.

use protocol::input::Credential;
use reqwest::header::HeaderValue;
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;

use super::{RegistryClient, scope};
use crate::registry::RegistryError;
use crate::registry::challenge::Bearer;
use crate::registry::exchange::{Exchange, Secret, basic, secret_header};
use crate::registry::origin::Origin;
use crate::registry::refusal::{is_transient, message, retry_after};
use crate::registry::registry_host::RegistryHost;
use crate::registry::request::{AttemptError, RegistryRequest};
use crate::registry::server::Server;

/// A trusted token server that a registry has named.
pub(super) struct TokenServer<'a> {
    client: &'a RegistryClient,
    request: &'a RegistryRequest<'a>,
    url: Url,
    /// The only origin that gets the account.
    origin: Origin,
    service: Option<&'a str>,
    scopes: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl<'a> TokenServer<'a> {
    pub(super) fn named_by(
        client: &'a RegistryClient,
        named_by: &RegistryHost,
        request: &'a RegistryRequest<'a>,
        bearer: &'a Bearer,
    ) -> Result<Self, RegistryError> {
        let refuse = |reason: &str| RegistryError::TokenServer {
            registry: client.name().to_owned(),
            server: bearer.realm.clone(),
            reason: reason.to_owned(),
        };
        let url: Url = bearer
            .realm
            .parse()
            .map_err(|_| refuse("which is not a URL"))?;
        if let Some(reason) = named_by.refusal_of(&url) {
            return Err(refuse(reason));
        }
        let own = scope::of(request.repository, request.operation);
        Ok(Self {
            client,
            request,
            origin: Origin::of(&url),
            url,
            service: bearer.service.as_deref(),
            scopes: scope::merge(own, &bearer.scope),
        })
    }

    /// Requests a token with an account or anonymously. Returns the value of
    /// the header that carries it.
    pub(super) async fn token(
        &self,
        account: Option<&Credential>,
    ) -> Result<HeaderValue, AttemptError> {
        let response = match account {
            Some(Credential::Identity { token }) => self.refresh(token).await?,
            account => self.trade(account).await?,
        };
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let bytes = self.client.body(response, "a token").await;
        let bytes = bytes.map_err(|error| AttemptError {
            is_transient: error.is_unreachable(),
            pause: None,
            error,
        })?;
        let answer: Answer = serde_json::from_slice(&bytes).unwrap_or_default();
        let mut tokens = [answer.access_token, answer.token].into_iter().flatten();
        let token = tokens.find(|token| !token.is_empty());
        let header = token.and_then(|token| secret_header(&format!("Bearer {token}")));
        header.ok_or_else(|| {
            let reason = "which answered without a token".to_owned();
            AttemptError::last(RegistryError::TokenServer {
                registry: self.client.name().to_owned(),
                server: self.origin.host().to_owned(),
                reason,
            })
        })
    }

    async fn trade(&self, account: Option<&Credential>) -> Result<Response, AttemptError> {
        let mut url = self.url.clone();
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(self.service.map(|service| ("service", service)));
            query.extend_pairs(self.scopes.iter().map(|scope| ("scope", scope)));
        }
        let account = account.and_then(basic);
        let secret = account.as_ref().map_or(Secret::None, Secret::Authorization);
        self.send(&Method::GET, &url, secret).await
    }

    /// Sends a refresh grant of OAuth 2.
    async fn refresh(&self, token: &str) -> Result<Response, AttemptError> {
        let scopes = self.scopes.join(" ");
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", "locald"),
            ("service", self.service.unwrap_or_default()),
            ("scope", &scopes),
            ("refresh_token", token),
        ];
        self.send(&Method::POST, &self.url, Secret::Form(&form))
            .await
    }

    async fn send(
        &self,
        method: &Method,
        url: &Url,
        secret: Secret<'_>,
    ) -> Result<Response, AttemptError> {
        let exchange = Exchange {
            client: self.client.http(),
            method,
            url,
            owner: &self.origin,
            secret,
            timeout: self.client.timeout(),
        };
        let sent = exchange.send(&|request| request).await;
        sent.map_err(|source| AttemptError {
            is_transient: !source.is_final(),
            pause: None,
            error: RegistryError::Unreachable {
                server: self.server(self.origin.host()),
                source,
            },
        })
    }

    async fn refused(&self, response: Response) -> AttemptError {
        let status = response.status();
        let pause = retry_after(&response);
        let server = self.server(response.url().host_str().unwrap_or_default());
        let body = self.client.body(response, "a token").await;
        let message = message(&body.unwrap_or_default());
        let error = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RegistryError::Unauthorized {
                registry: self.client.name().to_owned(),
                what: self.request.what.to_owned(),
                message: match message.as_str() {
                    "" => format!("the {server} answered {}", status.as_u16()),
                    _ => message,
                },
            },
            _ => RegistryError::Status {
                server,
                status: status.as_u16(),
                what: "a request for a token".to_owned(),
                message,
            },
        };
        AttemptError {
            error,
            is_transient: is_transient(status),
            pause,
        }
    }

    fn server(&self, host: &str) -> Server {
        Server::Token {
            host: host.to_owned(),
            registry: self.client.name().to_owned(),
        }
    }
}
