//! Sends one HTTP request and follows redirects. Only this module adds secrets
//! to requests.

use protocol::input::Credential;
use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};

use super::origin::Origin;
use super::timeout::{ResponseTimeout, TransportError};

/// The most redirects that one request follows.
const REDIRECTS: usize = 10;

/// A request that can be built again for each address.
pub(super) struct Exchange<'a> {
    pub(super) client: &'a Client,
    pub(super) method: &'a Method,
    pub(super) url: &'a Url,
    /// The origin to which the secret belongs.
    pub(super) owner: &'a Origin,
    pub(super) secret: Secret<'a>,
    pub(super) timeout: ResponseTimeout<'a>,
}

/// A secret. Only its owner gets it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Secret<'a> {
    None,
    /// A header. Other origins get the request without it.
    Authorization(&'a HeaderValue),
    /// A form. Other origins do not get the request.
    Form(&'a [(&'a str, &'a str)]),
}

impl Exchange<'_> {
    /// Sends the request. Returns the first response that is not a redirect, or
    /// a redirect that locald does not follow. `extend` adds the parts of the
    /// request that are not secret.
    pub(super) async fn send(
        &self,
        extend: &impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, TransportError> {
        let mut url = without_account(self.url);
        for _ in 0..=REDIRECTS {
            let request = extend(self.client.request(self.method.clone(), url.clone()));
            let request = match self.secret {
                Secret::Authorization(value) if self.owner.owns(&url) => {
                    request.header(AUTHORIZATION, value.clone())
                }
                Secret::Form(form) if self.owner.owns(&url) => request.form(form),
                Secret::Authorization(_) | Secret::None | Secret::Form(_) => request,
            };
            let answer = self.timeout.wait(request.send()).await?;
            match self.redirect(&answer) {
                Some(next) => url = next,
                None => return Ok(answer),
            }
        }
        Err(TransportError::Redirects)
    }

    /// The target of a redirect, to which locald sends the same request. locald
    /// does not follow a 303 for a write, because it asks for another request.
    /// A form goes only to its owner.
    fn redirect(&self, answer: &Response) -> Option<Url> {
        let reads = matches!(*self.method, Method::GET | Method::HEAD);
        let follows = match answer.status() {
            StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT => true,
            StatusCode::SEE_OTHER => reads,
            _ => false,
        };
        let next = location(answer).filter(|_| follows)?;
        let may_go = !matches!(self.secret, Secret::Form(_)) || self.owner.owns(&next);
        may_go.then_some(next)
    }
}

/// The address in the `Location` header of a response.
pub(super) fn location(answer: &Response) -> Option<Url> {
    let location = answer.headers().get(LOCATION)?.to_str().ok()?;
    let url = answer.url().join(location).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| without_account(&url))
}

/// Removes the name and the password from an address. The HTTP client would
/// send them as an account.
fn without_account(url: &Url) -> Url {
    let mut url = url.clone();
    // This fails only for an address without a host, which has no account.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// The `Authorization` header of an account; absent for an identity token.
pub(super) fn basic(credential: &Credential) -> Option<HeaderValue> {
    use base64::Engine as _;
    let Credential::Basic { username, password } = credential else {
        return None;
    };
    let pair = format!("{username}:{password}");
    let pair = base64::engine::general_purpose::STANDARD.encode(pair);
    secret_header(&format!("Basic {pair}"))
}

/// A header value that is never logged.
pub(super) fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
