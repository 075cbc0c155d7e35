//! Certificates that are not valid today.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use protocol::FailureKind;
use protocol::request::RegistrySettings;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::fixture::Client;

/// Not a name of this machine's, and so spoken to by https; it leads here.
pub(crate) const HOST: &str = "0.0.0.0";

/// A TLS server whose certificate is good from one year to another and that
/// always answers the same, and that certificate.
pub(crate) fn server(from: i32, to: i32, answer: String) -> (u16, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 12, 31);
    let certificate = params.self_signed(&key).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind((HOST, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::Stream::new(&mut connection, &mut stream);
            // A client that does not like the certificate hangs up.
            let _ = tls.read(&mut [0; 4096]);
            let _ = tls.write_all(answer.as_bytes());
        }
    });
    (port, certificate.pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_years_off_is_named() {
    // As if this machine's clock was too far ahead, and too far behind.
    for year in [2001, 2090] {
        let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        let (port, authority) = server(year, year, answer.to_owned());
        let mut client = Client::new();
        client.access.registries.push(RegistrySettings {
            name: format!("{HOST}:{port}"),
            mirror: None,
            insecure: false,
            ca: Some(authority),
        });
        let failure = client
            .pull(&format!("{HOST}:{port}/app"))
            .await
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Registry, "{failure:?}");
        let hint = failure.hint.unwrap();
        assert!(
            hint.contains("clock"),
            "{year}: {hint} {:?}",
            failure.causes
        );
    }
}
