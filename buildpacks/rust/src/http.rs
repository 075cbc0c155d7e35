//! Downloads files with the image's trusted certificates and the usual proxy
//! variables.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

/// The certificate bundles of distributions.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// The limit for a server that does not answer. A slow transfer has no limit.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A download failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("{url} does not exist")]
    NotFound { url: String },
    #[error("{url} answers with status {status}")]
    Status { url: String, status: u16 },
    #[error("{url} cannot be reached")]
    Unreachable {
        url: String,
        #[source]
        source: Box<ureq::Error>,
    },
    #[error("{url} broke off")]
    Broken {
        url: String,
        #[source]
        source: io::Error,
    },
}

/// The body of a URL. Its scheme is `https`, `http` or `file`.
pub(crate) fn get(url: &str) -> Result<Box<dyn Read>, HttpError> {
    if let Some(path) = url.strip_prefix("file://") {
        return match std::fs::File::open(path) {
            Ok(file) => Ok(Box::new(file)),
            Err(_) => Err(HttpError::NotFound {
                url: url.to_owned(),
            }),
        };
    }
    let own = url.to_owned();
    let response = agent().get(url).call().map_err(|error| match error {
        ureq::Error::StatusCode(404 | 410) => HttpError::NotFound { url: own },
        ureq::Error::StatusCode(status) => HttpError::Status { url: own, status },
        error => HttpError::Unreachable {
            url: own,
            source: Box::new(error),
        },
    })?;
    Ok(Box::new(response.into_body().into_reader()))
}

fn agent() -> ureq::Agent {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider)
        .root_certs(RootCerts::Specific(Arc::new(certificates())))
        .build();
    let config = ureq::Agent::config_builder()
        .tls_config(tls)
        .timeout_resolve(Some(TIMEOUT))
        .timeout_connect(Some(TIMEOUT))
        .timeout_recv_response(Some(TIMEOUT))
        .build();
    ureq::Agent::new_with_config(config)
}

/// The certificates of `SSL_CERT_FILE`, else of the image.
fn certificates() -> Vec<Certificate<'static>> {
    let given = std::env::var("SSL_CERT_FILE").ok();
    let files = given.iter().map(String::as_str).chain(BUNDLES);
    let bundle = files
        .map(Path::new)
        .find_map(|path| fs_err::read(path).ok());
    let bundle = bundle.unwrap_or_default();
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    ureq::tls::parse_pem(&bundle)
        .filter_map(certificate)
        .collect()
}

/// Formats bytes as lowercase hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
