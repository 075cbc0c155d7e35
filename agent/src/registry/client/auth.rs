//! The answer to a registry's challenge. An account goes to the registry that
//! it belongs to, or to the token server that this registry itself has named.

use reqwest::Response;
use reqwest::header::HeaderValue;

use super::Remote;
use super::token::TokenServer;
use crate::registry::challenge::{self, Challenge};
use crate::registry::exchange::basic;
use crate::registry::registry_host::Base;
use crate::registry::request::{Fault, Question};

/// The value of an `Authorization` header; absent when no challenge can be met.
pub(super) async fn answer(
    remote: &Remote,
    base: &Base,
    response: &Response,
    question: &Question<'_>,
) -> Result<Option<HeaderValue>, Fault> {
    let challenges = challenge::known(response.headers());
    if challenges.is_empty() {
        return Ok(None);
    }
    let account = base
        .credential(remote.dialogue(), question.repository)
        .await;
    let account = account.map_err(Fault::last)?;
    let mut refusal = None;
    for challenge in &challenges {
        let answer = match challenge {
            Challenge::Basic => Ok(account.as_ref().and_then(basic)),
            Challenge::Bearer(bearer) => {
                let server = TokenServer::named_by(remote, base, question, bearer);
                match server {
                    Ok(server) => server.token(account.as_ref()).await.map(Some),
                    Err(error) => Err(Fault::last(error)),
                }
            }
        };
        match answer {
            Ok(Some(answer)) => return Ok(Some(answer)),
            Ok(None) => {}
            Err(fault) if fault.passing => return Err(fault),
            Err(fault) => refusal = refusal.or(Some(fault)),
        }
    }
    refusal.map_or(Ok(None), Err)
}
