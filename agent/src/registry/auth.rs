//! Bearer and basic authentication: the distribution specification's token
//! protocol. A credential goes to the registry that asked for it and to its
//! token server, and nowhere else.

use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use protocol::input::Credential;
use reqwest::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};

use super::RegistryError;
use super::remote::{Operation, Remote};

/// What a registry wants, from its `WWW-Authenticate` header.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: String },
}

impl Challenge {
    fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let value = |name: &str| {
            let start = rest.find(&format!("{name}=\""))? + name.len() + 2;
            let length = rest[start..].find('"')?;
            Some(rest[start..start + length].to_owned())
        };
        Some(Self::Bearer {
            realm: value("realm")?,
            service: value("service").unwrap_or_default(),
        })
    }
}

/// The realm that a `WWW-Authenticate` header names.
#[cfg(feature = "fuzzing")]
pub(crate) fn realm(header: &str) -> Option<String> {
    match Challenge::parse(header)? {
        Challenge::Basic => None,
        Challenge::Bearer { realm, .. } => Some(realm),
    }
}

/// The value of an `Authorization` header for a repository; absent when the
/// challenge cannot be met.
pub(super) async fn answer(
    remote: &Remote,
    response: &reqwest::Response,
    repository: &str,
    operation: Operation,
) -> Result<Option<HeaderValue>, RegistryError> {
    let header = response.headers().get(WWW_AUTHENTICATE);
    let header = header.and_then(|header| header.to_str().ok());
    let Some(challenge) = header.and_then(Challenge::parse) else {
        return Ok(None);
    };
    let credential = remote.credential().await?;
    match challenge {
        Challenge::Basic => Ok(credential.as_ref().and_then(basic)),
        Challenge::Bearer { realm, service } => {
            remote.check_realm(&realm)?;
            let token = match credential {
                Some(Credential::Identity { token }) => {
                    refresh(remote, &realm, &service, &token, repository, operation).await?
                }
                credential => trade(remote, credential, repository, operation).await?,
            };
            Ok(token.and_then(|token| secret_header(&format!("Bearer {token}"))))
        }
    }
}

fn basic(credential: &Credential) -> Option<HeaderValue> {
    use base64::Engine as _;
    let Credential::Basic { username, password } = credential else {
        return None;
    };
    let pair = format!("{username}:{password}");
    let pair = base64::engine::general_purpose::STANDARD.encode(pair);
    secret_header(&format!("Basic {pair}"))
}

fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Trades a credential, or none, for a token.
async fn trade(
    remote: &Remote,
    credential: Option<Credential>,
    repository: &str,
    operation: Operation,
) -> Result<Option<String>, RegistryError> {
    let auth = match credential {
        Some(Credential::Basic { username, password }) => RegistryAuth::Basic(username, password),
        _ => RegistryAuth::Anonymous,
    };
    let operation = match operation {
        Operation::Pull => RegistryOperation::Pull,
        Operation::Push => RegistryOperation::Push,
    };
    let host = remote.host().to_owned();
    let reference = Reference::with_tag(host, repository.to_owned(), "latest".to_owned());
    let client = Client::new(client_config(remote));
    match client.auth(&reference, &auth, operation).await {
        Ok(token) => Ok(token),
        Err(error) => {
            tracing::debug!(registry = remote.name(), %error, "no token");
            Ok(None)
        }
    }
}

fn client_config(remote: &Remote) -> ClientConfig {
    let proxy = |name: &str| remote.proxy(name).map(str::to_owned);
    let certificate = |pem: &str| oci_client::client::Certificate {
        encoding: oci_client::client::CertificateEncoding::Pem,
        data: pem.as_bytes().to_vec(),
    };
    ClientConfig {
        protocol: if remote.is_plain() {
            ClientProtocol::Http
        } else {
            ClientProtocol::Https
        },
        read_timeout: Some(super::remote::IDLE),
        connect_timeout: Some(super::remote::CONNECT),
        extra_root_certificates: remote.certificates().map(certificate).collect(),
        https_proxy: proxy("HTTPS_PROXY"),
        http_proxy: proxy("HTTP_PROXY"),
        no_proxy: proxy("NO_PROXY"),
        ..ClientConfig::default()
    }
}

/// Trades an identity token for an access token (OAuth 2, refresh grant).
async fn refresh(
    remote: &Remote,
    realm: &str,
    service: &str,
    token: &str,
    repository: &str,
    operation: Operation,
) -> Result<Option<String>, RegistryError> {
    let scope = match operation {
        Operation::Pull => format!("repository:{repository}:pull"),
        Operation::Push => format!("repository:{repository}:pull,push"),
    };
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "locald"),
        ("service", service),
        ("scope", &scope),
        ("refresh_token", token),
    ];
    let request = remote.client().post(realm).form(&form);
    let response = request
        .send()
        .await
        .map_err(|error| remote.unreachable(error))?;
    if !response.status().is_success() {
        return Ok(None);
    }
    let bytes = remote.body(response, "a token").await?;
    let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let token = ["access_token", "token"]
        .iter()
        .find_map(|name| answer[*name].as_str());
    Ok(token.map(str::to_owned))
}

/// Puts an answer into a request.
pub(super) fn authorize(
    request: reqwest::RequestBuilder,
    answer: Option<&HeaderValue>,
) -> reqwest::RequestBuilder {
    match answer {
        Some(value) => request.header(AUTHORIZATION, value.clone()),
        None => request,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let text =
            r#"Bearer realm="https://auth.example/token",service="registry.example",scope="x""#;
        let bearer = Challenge::Bearer {
            realm: "https://auth.example/token".to_owned(),
            service: "registry.example".to_owned(),
        };
        assert_eq!(Challenge::parse(text), Some(bearer));
        assert_eq!(
            Challenge::parse(r#"Basic realm="x""#),
            Some(Challenge::Basic)
        );
        assert_eq!(Challenge::parse("Negotiate"), None);
        assert_eq!(Challenge::parse("Bearer realm="), None);
    }
}
