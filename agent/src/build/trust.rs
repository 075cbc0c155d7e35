//! Whom the build phase trusts: the certificate authorities of the builder, and
//! those of this machine, so that buildpacks can download behind a proxy that
//! speaks for the servers.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::layer::merged::Merged;

/// Where distributions keep their bundle; the first is where it is provided in
/// an image that has none.
const BUNDLES: [&str; 3] = [
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/ca-bundle.pem",
];
/// Far more bytes than a bundle has.
const CAP: u64 = 4 * 1024 * 1024;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// A bundle to be mounted over the builder's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bundle {
    /// In the container.
    pub(super) target: PathBuf,
    /// PEM.
    pub(super) certificates: String,
}

/// The builder's authorities and more; absent when there are no more. `layers`
/// are the builder's, the topmost first.
pub(super) fn bundle(layers: &[PathBuf], extra: Option<&str>) -> Option<Bundle> {
    let read = |path| Some((path, Merged(layers).text(path, CAP)?));
    let own = BUNDLES.into_iter().find_map(read);
    let (path, own) = own.unwrap_or((BUNDLES[0], String::new()));
    let certificates = merge(&own, &[&of_machine(), extra.unwrap_or_default()])?;
    Some(Bundle {
        target: PathBuf::from("/").join(path),
        certificates,
    })
}

/// `SSL_CERT_FILE`, else the distribution's.
fn of_machine() -> String {
    let given = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual = BUNDLES.iter().map(|path| PathBuf::from("/").join(path));
    let mut files = given.into_iter().chain(usual);
    files
        .find_map(|path| fs_err::read_to_string(path).ok())
        .unwrap_or_default()
}

/// What `own` lacks is put after it.
fn merge(own: &str, others: &[&str]) -> Option<String> {
    let mut known: HashSet<&str> = certificates(own).collect();
    let mut merged = own.to_owned();
    let others = others.iter().flat_map(|bundle| certificates(bundle));
    for certificate in others {
        if known.insert(certificate) {
            if !merged.is_empty() && !merged.ends_with('\n') {
                merged.push('\n');
            }
            merged.push_str(certificate);
            merged.push('\n');
        }
    }
    (merged.len() > own.len()).then_some(merged)
}

/// The PEM blocks of a bundle.
fn certificates(bundle: &str) -> impl Iterator<Item = &str> {
    bundle.match_indices(BEGIN).filter_map(|(start, _)| {
        let block = &bundle[start..];
        let end = block.find(END)? + END.len();
        Some(&block[..end])
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn block(text: &str) -> String {
        format!("{BEGIN}\n{text}\n{END}")
    }

    #[test]
    fn only_what_is_missing_is_added() {
        let (a, b) = (block("a"), block("b"));
        let machine = format!("# b\n{b}\n{a}\n");
        assert_eq!(merge(&a, &[&machine]).unwrap(), format!("{a}\n{b}\n"));
        assert_eq!(merge(&machine, &[&a, &b]), None);
        assert_eq!(merge("", &["no certificate", BEGIN]), None);
    }
}
