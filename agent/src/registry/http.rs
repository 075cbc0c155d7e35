//! Makes the HTTP client, with proxies and certificate authorities.

use std::time::Duration;

use protocol::request::EnvVar;
use reqwest::redirect::Policy;
use reqwest::{Client, NoProxy, Proxy};

/// The longest time to establish a connection.
const CONNECT: Duration = Duration::from_secs(15);

/// A client that trusts `authorities`, in PEM, in addition to the machine's
/// own.
pub(super) fn client(
    certificates: &[String],
    proxies: &[EnvVar],
) -> Result<Client, reqwest::Error> {
    // Fails if another part of the process has installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("locald/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        // The module `exchange` follows redirects, and `timeout` limits the
        // wait.
        .redirect(Policy::none())
        .no_proxy();
    for pem in certificates {
        let bundle = reqwest::Certificate::from_pem_bundle(pem.as_bytes())?;
        builder = builder.tls_certs_merge(bundle);
    }
    let except = || proxy(proxies, "NO_PROXY").and_then(NoProxy::from_string);
    if let Some(url) = proxy(proxies, "HTTP_PROXY") {
        builder = builder.proxy(Proxy::http(url)?.no_proxy(except()));
    }
    if let Some(url) = proxy(proxies, "HTTPS_PROXY") {
        builder = builder.proxy(Proxy::https(url)?.no_proxy(except()));
    }
    builder.build()
}

fn proxy<'a>(proxies: &'a [EnvVar], name: &str) -> Option<&'a str> {
    let is = |var: &&EnvVar| var.name.eq_ignore_ascii_case(name) && !var.value.is_empty();
    proxies.iter().find(is).map(|var| var.value.as_str())
}
