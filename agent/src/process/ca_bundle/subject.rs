//! Computes the file names by which OpenSSL finds authorities in a directory:
//! `X509_NAME_hash_ex(3)`, and `x509_name_canon` in its sources.

use sha1::{Digest as _, Sha1};
use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, RelativeDistinguishedName};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;

/// The hash in the name of a certificate's file; absent if the bytes are not a
/// certificate.
pub(super) fn hash(certificate: &[u8]) -> Option<u32> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let mut canonical = Vec::new();
    for names in certificate.subject().iter_rdn() {
        canonical.extend(set(names)?);
    }
    let digest = Sha1::digest(canonical);
    let first = digest.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*first))
}

fn set(names: &RelativeDistinguishedName<'_>) -> Option<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = names.iter().map(attribute).collect::<Option<_>>()?;
    names.sort_unstable();
    element(SET, &names.concat())
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> Option<Vec<u8>> {
    let kind = element(OBJECT_IDENTIFIER, attribute.attr_type().as_bytes())?;
    let value = attribute.attr_value();
    let value = match text(value) {
        Some(text) => element(UTF8_STRING, fold(&text).as_bytes())?,
        None => element(u8::try_from(value.tag().0).ok()?, value.data)?,
    };
    element(SEQUENCE, &[kind, value].concat())
}

/// Decodes a value that is a text, in any of the possible encodings.
fn text(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::VisibleString => {
            Some(String::from_utf8_lossy(value.data).into_owned())
        }
        Tag::T61String => Some(value.data.iter().copied().map(char::from).collect()),
        Tag::BmpString => {
            let (units, _) = value.data.as_chunks::<2>();
            let units: Vec<u16> = units.iter().copied().map(u16::from_be_bytes).collect();
            Some(String::from_utf16_lossy(&units))
        }
        Tag::UniversalString => {
            let (units, _) = value.data.as_chunks::<4>();
            let units = units.iter().copied().map(u32::from_be_bytes);
            units.map(char::from_u32).collect()
        }
        _ => None,
    }
}

/// Converts to lower case, and collapses and trims white space.
fn fold(text: &str) -> String {
    let is_space = |letter: char| matches!(letter, ' ' | '\t'..='\r');
    let words = text.split(is_space).filter(|word| !word.is_empty());
    let text: Vec<&str> = words.collect();
    text.join(" ").to_ascii_lowercase()
}

/// Encodes an element by the distinguished encoding rules: tag, length,
/// content.
fn element(tag: u8, content: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(content.len()).ok()?;
    let [high, low] = length.to_be_bytes();
    let mut element = match length {
        0..128 => vec![tag, low],
        128..256 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    element.extend_from_slice(content);
    Some(element)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::process::Command;

    use rcgen::string::{BmpString, PrintableString, TeletexString};
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};

    use super::*;

    /// The output of `openssl x509 -hash`; absent if it is not installed.
    fn by_openssl(pem: &str) -> Option<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), pem).unwrap();
        let mut command = Command::new("openssl");
        command
            .args(["x509", "-noout", "-hash", "-in"])
            .arg(file.path());
        let output = command.output().ok()?;
        Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    fn certificate(names: &[(DnType, DnValue)]) -> rcgen::Certificate {
        let mut name = DistinguishedName::new();
        for (kind, value) in names {
            name.push(kind.clone(), value.clone());
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap()
    }

    fn own(certificate: &rcgen::Certificate) -> String {
        format!("{:08x}", hash(certificate.der()).unwrap())
    }

    fn printable(text: &str) -> DnValue {
        DnValue::PrintableString(PrintableString::try_from(text).unwrap())
    }

    /// Every distribution uses these file names for this authority.
    #[test]
    fn a_known_authority_has_its_known_name() {
        let certificate = certificate(&[
            (DnType::CountryName, printable("US")),
            (
                DnType::OrganizationName,
                printable("Internet Security Research Group"),
            ),
            (DnType::CommonName, printable("ISRG Root X1")),
        ]);
        assert_eq!(own(&certificate), "4042bcee");
    }

    #[test]
    fn names_are_those_of_openssl() {
        for value in [
            DnValue::Utf8String("Ünïcode  Žižek".to_owned()),
            DnValue::Utf8String("  ACME\t Root  CA ".to_owned()),
            DnValue::TeletexString(TeletexString::try_from("Old Root").unwrap()),
            DnValue::BmpString(BmpString::try_from("Wide Ärger").unwrap()),
            DnValue::Utf8String("long ".repeat(60)),
            DnValue::Utf8String("longer".repeat(20)),
        ] {
            let certificate = certificate(&[
                (DnType::CountryName, printable("DE")),
                (DnType::CommonName, value.clone()),
            ]);
            if let Some(openssl) = by_openssl(&certificate.pem()) {
                assert_eq!(own(&certificate), openssl, "{value:?}");
            }
        }
    }
}
