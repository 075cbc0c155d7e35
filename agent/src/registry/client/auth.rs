//! Answers a registry's challenge. An account goes only to its own registry, or
//! to the token server that this registry names.

use reqwest::Response;
use reqwest::header::HeaderValue;

use super::RegistryClient;
use super::token::TokenServer;
use crate::registry::challenge::{self, Challenge};
use crate::registry::exchange::basic;
use crate::registry::registry_host::RegistryHost;
use crate::registry::request::{AttemptError, RegistryRequest};

/// The value of an `Authorization` header; absent if locald supports none of
/// the challenges.
pub(super) async fn answer(
    client: &RegistryClient,
    registry_host: &RegistryHost,
    response: &Response,
    request: &RegistryRequest<'_>,
) -> Result<Option<HeaderValue>, AttemptError> {
    let challenges = challenge::known(response.headers());
    if challenges.is_empty() {
        return Ok(None);
    }
    let account = registry_host
        .credential(client.stream(), request.repository)
        .await;
    let account = account.map_err(AttemptError::last)?;
    let mut refusal = None;
    for challenge in &challenges {
        let answer = match challenge {
            Challenge::Basic => Ok(account.as_ref().and_then(basic)),
            Challenge::Bearer(bearer) => {
                let server = TokenServer::named_by(client, registry_host, request, bearer);
                match server {
                    Ok(server) => server.token(account.as_ref()).await.map(Some),
                    Err(error) => Err(AttemptError::last(error)),
                }
            }
        };
        match answer {
            Ok(Some(answer)) => return Ok(Some(answer)),
            Ok(None) => {}
            Err(fault) if fault.is_transient => return Err(fault),
            Err(fault) => refusal = refusal.or(Some(fault)),
        }
    }
    refusal.map_or(Ok(None), Err)
}
