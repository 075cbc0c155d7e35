//! Makes a certificate for the registries of a build. Only the phases of that
//! build trust its certificate authority. locald does not keep the authority's
//! key.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// A server certificate and the certificate authority that signed it.
pub struct Identity {
    config: Arc<ServerConfig>,
    /// The authority's certificate, in PEM.
    pub authority: String,
}

/// A certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// rcgen failed.
    #[error("cannot make a certificate for the build's registry")]
    Certificate(#[from] rcgen::Error),
    /// rustls failed.
    #[error("cannot use the certificate of the build's registry")]
    Tls(#[from] rustls::Error),
}

impl Identity {
    /// Makes a certificate for some host names.
    pub fn new(hosts: &[String]) -> Result<Self, IdentityError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let names: Vec<String> = hosts
            .iter()
            .map(|host| host.trim_matches(['[', ']']).to_owned())
            .collect();
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            authority: issuer.pem(),
        })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

impl From<IdentityError> for protocol::Failure {
    fn from(error: IdentityError) -> Self {
        Self::from_error(protocol::FailureKind::Internal, &error)
    }
}
