//! Bearer and basic authentication: the distribution specification's token
//! protocol. A credential goes to the registry that asked for it and to its
//! token server, and nowhere else.

use protocol::input::Credential;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};

use super::RegistryError;
use super::base::Base;
use super::remote::{Operation, Question, Remote};

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
    base: &Base,
    response: &reqwest::Response,
    question: &Question<'_>,
) -> Result<Option<HeaderValue>, RegistryError> {
    let (repository, operation) = (question.repository, question.operation);
    let header = response.headers().get(WWW_AUTHENTICATE);
    let header = header.and_then(|header| header.to_str().ok());
    let Some(challenge) = header.and_then(Challenge::parse) else {
        return Ok(None);
    };
    let credential = base.credential(remote.dialogue()).await?;
    match challenge {
        Challenge::Basic => Ok(credential.as_ref().and_then(basic)),
        Challenge::Bearer { realm, service } => {
            if let Some(refusal) = base.refusal_of(&realm) {
                let reason = format!("its token server {realm:?} {refusal}");
                return Err(remote.nonsense("a request", reason));
            }
            let token = match credential {
                Some(Credential::Identity { token }) => {
                    refresh(remote, &realm, &service, &token, repository, operation).await?
                }
                credential => {
                    let wanted = [
                        ("service", service),
                        ("scope", scope(repository, operation)),
                    ];
                    trade(remote, &realm, &wanted, credential.as_ref()).await?
                }
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

/// What a token is for.
fn scope(repository: &str, operation: Operation) -> String {
    match operation {
        Operation::Pull => format!("repository:{repository}:pull"),
        Operation::Push => format!("repository:{repository}:pull,push"),
    }
}

/// Trades a credential, or none, for a token. The realm is the one that has
/// been checked: to ask for another challenge could name another one.
async fn trade(
    remote: &Remote,
    realm: &str,
    wanted: &[(&str, String)],
    credential: Option<&Credential>,
) -> Result<Option<String>, RegistryError> {
    let url = Url::parse_with_params(realm, wanted).map_err(|error| {
        let reason = format!("its token server {realm:?} is no address: {error}");
        remote.nonsense("a request", reason)
    })?;
    let mut request = remote.client().get(url);
    if let Some(Credential::Basic { username, password }) = credential {
        request = request.basic_auth(username, Some(password));
    }
    token_of(remote, request).await
}

/// The token that a token server answers with, if it does.
async fn token_of(
    remote: &Remote,
    request: reqwest::RequestBuilder,
) -> Result<Option<String>, RegistryError> {
    let response = request
        .send()
        .await
        .map_err(|error| remote.unreachable(error))?;
    if !response.status().is_success() {
        let status = response.status();
        tracing::debug!(registry = remote.name(), %status, "no token");
        return Ok(None);
    }
    let bytes = remote.body(response, "a token").await?;
    let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let token = ["access_token", "token"]
        .iter()
        .find_map(|name| answer[*name].as_str());
    Ok(token.map(str::to_owned))
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
    let scope = scope(repository, operation);
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "locald"),
        ("service", service),
        ("scope", &scope),
        ("refresh_token", token),
    ];
    token_of(remote, remote.client().post(realm).form(&form)).await
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
