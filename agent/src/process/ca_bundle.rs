//! Makes containers trust the certificate authorities of this machine in
//! addition to those of their image. So programs can download behind a proxy
//! that intercepts TLS.
//!
//! A further layer above the image contains the authorities that the image
//! lacks. The layer has them in the distribution's bundle, which Go, curl and
//! Git read. It also has them in the directory beside the bundle under
//! OpenSSL's names, which Python and Ruby read. Variables name the bundle for
//! programs with a list of their own, such as Node and Python's requests.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use protocol::request::{EnvVar, RegistryAccess};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::store::layer::merged::Merged;
use crate::store::layer::stack;

mod subject;

/// The paths of a bundle, and of OpenSSL's directory, in each distribution. The
/// first is used if an image has neither.
const PLACES: [Place; 3] = [
    Place {
        bundle: "etc/ssl/certs/ca-certificates.crt",
        directory: "etc/ssl/certs",
    },
    Place {
        bundle: "etc/pki/tls/certs/ca-bundle.crt",
        directory: "etc/pki/tls/certs",
    },
    Place {
        bundle: "etc/ssl/ca-bundle.pem",
        directory: "etc/ssl/certs",
    },
];
/// The most bytes of a bundle. Valid ones are much smaller.
const CAP: u64 = 4 * 1024 * 1024;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

#[derive(Debug, Clone, Copy)]
struct Place {
    bundle: &'static str,
    directory: &'static str,
}

/// A root file system with all authorities, and the variables that name them.
#[derive(Debug)]
pub(crate) struct CaBundle {
    /// Lower directories of overlayfs, the uppermost first.
    pub(crate) lowers: Vec<PathBuf>,
    /// Variables for programs that do not find the authorities by themselves.
    pub(crate) env: Vec<EnvVar>,
}

impl CaBundle {
    /// An unchanged root file system.
    pub(crate) fn as_it_is(lowers: Vec<PathBuf>) -> Self {
        Self {
            lowers,
            env: Vec::new(),
        }
    }
}

/// Adds the authorities, and the variables of a request's proxies for
/// buildpacks.
pub(crate) fn behind_proxies(
    lowers: Vec<PathBuf>,
    access: &RegistryAccess,
    scratch: &Path,
) -> io::Result<CaBundle> {
    let mut trusted = add(lowers, access.extra_ca.as_deref(), scratch)?;
    trusted.env.extend(proxies(access));
    Ok(trusted)
}

/// The variables of proxies, in upper and lower case: curl reads only the
/// latter.
pub(crate) fn proxies(access: &RegistryAccess) -> impl Iterator<Item = EnvVar> {
    access.proxies.iter().flat_map(|EnvVar { name, value }| {
        let spelled = |name: String| EnvVar {
            name,
            value: value.clone(),
        };
        [spelled(name.clone()), spelled(name.to_lowercase())]
    })
}

/// Adds the authorities of this machine, and `extra`, as a layer above a root
/// file system that lacks some of them. `scratch` is an empty directory for
/// that layer, on the file system of the layers.
pub(crate) fn add(
    lowers: Vec<PathBuf>,
    extra: Option<&str>,
    scratch: &Path,
) -> io::Result<CaBundle> {
    let machine = of_machine();
    add_certificates(lowers, &[&machine, extra.unwrap_or_default()], scratch)
}

fn add_certificates(
    lowers: Vec<PathBuf>,
    certificates: &[&str],
    scratch: &Path,
) -> io::Result<CaBundle> {
    let image = Merged(&lowers);
    let used = PLACES.into_iter().find(|it| image.has_file(it.bundle));
    let place = used.unwrap_or(PLACES[0]);
    let own = image.text(place.bundle, CAP).unwrap_or_default();
    let missing = missing(&own, certificates);
    if missing.is_empty() {
        return Ok(CaBundle::as_it_is(lowers));
    }
    let mut tree = Tree::new(scratch.join("authorities"));
    let bundle = lead(image, place.bundle)?;
    tree.write(&bundle, &appended(&own, &missing))?;
    let directory = lead(image, place.directory)?;
    for certificate in missing {
        if let Some(hash) = subject::hash(&certificate.der) {
            let name = free_name(image, &tree, &directory, hash);
            tree.write(&name, &format!("{}\n", certificate.text))?;
        }
    }
    let layer = tree.into_layer();
    let lowers = stack::above(&layer, lowers, scratch.join("above-authorities"))?;
    let env = variables(place);
    Ok(CaBundle { lowers, env })
}

/// Variables that name the authorities to many programs, and have no other
/// effect. Node has a list of its own. It needs only the missing ones, and
/// accepts the others.
fn variables(place: Place) -> Vec<EnvVar> {
    let bundle = || format!("/{}", place.bundle);
    let variables = [
        ("SSL_CERT_FILE", bundle()),
        ("SSL_CERT_DIR", format!("/{}", place.directory)),
        ("NODE_EXTRA_CA_CERTS", bundle()),
        ("REQUESTS_CA_BUNDLE", bundle()),
    ];
    let variable = |(name, value): (&str, String)| EnvVar {
        name: name.to_owned(),
        value,
    };
    variables.into_iter().map(variable).collect()
}

/// The bundle of the machine: `SSL_CERT_FILE`, else the distribution's.
fn of_machine() -> String {
    let given = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual = PLACES.iter().map(|it| Path::new("/").join(it.bundle));
    let mut files = given.into_iter().chain(usual);
    files
        .find_map(|path| fs_err::read_to_string(path).ok())
        .unwrap_or_default()
}

/// Resolves a path of an image, so that the file at the end of all links is
/// changed.
fn lead(image: Merged<'_>, path: &str) -> io::Result<PathBuf> {
    let path = Path::new(path);
    Ok(image.resolve(path)?.unwrap_or_else(|| path.to_owned()))
}

/// The next free name for a subject. OpenSSL tries the names of a subject in
/// order, from zero, until one is missing.
fn free_name(image: Merged<'_>, tree: &Tree, directory: &Path, hash: u32) -> PathBuf {
    let names = (0..).map(|number| directory.join(format!("{hash:08x}.{number}")));
    let is_free = |name: &PathBuf| {
        let known = name.to_str().is_some_and(|name| image.has_file(name));
        !known && !tree.root.join(name).exists()
    };
    names.into_iter().find(is_free).unwrap_or_default()
}

/// The tree of a new layer.
struct Tree {
    root: PathBuf,
    directories: Vec<PathBuf>,
}

impl Tree {
    fn new(root: PathBuf) -> Self {
        Self {
            root,
            directories: Vec::new(),
        }
    }

    fn write(&mut self, path: &Path, text: &str) -> io::Result<()> {
        let path_here = self.root.join(path);
        let parent = path.parent().unwrap_or(Path::new(""));
        fs_err::create_dir_all(self.root.join(parent))?;
        for directory in parent.ancestors().filter(|it| !it.as_os_str().is_empty()) {
            if !self.directories.iter().any(|known| known == directory) {
                self.directories.push(directory.to_owned());
            }
        }
        fs_err::write(path_here, text)
    }

    /// Makes a layer. Its directories take their metadata from the image.
    fn into_layer(self) -> stack::Layer {
        stack::Layer {
            root: self.root,
            implied: self.directories,
        }
    }
}

/// A certificate in DER, and its PEM block.
struct Certificate<'a> {
    der: CertificateDer<'static>,
    text: &'a str,
}

/// The certificates of other bundles that a bundle lacks, without duplicates.
fn missing<'a>(own: &str, others: &[&'a str]) -> Vec<Certificate<'a>> {
    let mut known: HashSet<_> = certificates(own).map(|it| it.der).collect();
    let others = others.iter().flat_map(|bundle| certificates(bundle));
    others.filter(|it| known.insert(it.der.clone())).collect()
}

fn appended(own: &str, more: &[Certificate<'_>]) -> String {
    let mut text = own.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for certificate in more {
        text.push_str(certificate.text);
        text.push('\n');
    }
    text
}

fn certificates(bundle: &str) -> impl Iterator<Item = Certificate<'_>> {
    bundle.match_indices(BEGIN).filter_map(|(start, _)| {
        let block = &bundle[start..];
        let text = &block[..block.find(END)? + END.len()];
        let der = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
        Some(Certificate { der, text })
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn authority(name: &str) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem().replace('\r', "")
    }

    fn layer(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, content).unwrap();
        }
        root
    }

    fn lowers(layers: &[&tempfile::TempDir]) -> Vec<PathBuf> {
        layers.iter().map(|it| it.path().to_owned()).collect()
    }

    #[test]
    fn what_an_image_trusts_already_changes_nothing() {
        let (one, two) = (authority("one"), authority("two"));
        let bundle = format!("# a bundle\n{one}{two}");
        let image = layer(&[("etc/ssl/certs/ca-certificates.crt", &bundle)]);
        let scratch = tempfile::tempdir().unwrap();
        let certificates = [&*two, &one, "no certificate", BEGIN];
        let trusted = add_certificates(lowers(&[&image]), &certificates, scratch.path()).unwrap();
        assert_eq!(trusted.lowers, [image.path()]);
        assert!(trusted.env.is_empty());
    }

    #[test]
    fn a_missing_authority_is_in_the_bundle_and_in_the_directory() {
        let (known, same, other) = (authority("known"), authority("same"), authority("same"));
        let der = certificates(&same).next().unwrap().der;
        let hash = format!("{:08x}", subject::hash(&der).unwrap());
        let image = layer(&[
            ("etc/ssl/certs/ca-certificates.crt", known.trim_end()),
            (&format!("etc/ssl/certs/{hash}.0"), "another of that name"),
        ]);
        let scratch = tempfile::tempdir().unwrap();
        let certificates = [&*known, &same, &other, &same];
        let trusted = add_certificates(lowers(&[&image]), &certificates, scratch.path()).unwrap();
        let merged = Merged(&trusted.lowers);
        let read = |path: &str| merged.text(path, CAP).unwrap();
        let bundle = read("etc/ssl/certs/ca-certificates.crt");
        assert_eq!(bundle, format!("{known}{same}{other}"));
        let named = |number: u8| read(&format!("etc/ssl/certs/{hash}.{number}"));
        assert_eq!(named(0), "another of that name");
        assert_eq!(named(1), same);
        assert_eq!(named(2), other);
        let file = trusted.env.iter().find(|it| it.name == "SSL_CERT_FILE");
        assert_eq!(file.unwrap().value, "/etc/ssl/certs/ca-certificates.crt");
    }

    /// The layout of Red Hat's distributions.
    #[test]
    fn links_of_the_image_stay() {
        let known = authority("known");
        let image = layer(&[("etc/pki/ca-trust/bundle.pem", &known)]);
        let certs = image.path().join("etc/pki/tls/certs");
        fs_err::create_dir_all(&certs).unwrap();
        let link = certs.join("ca-bundle.crt");
        fs_err::os::unix::fs::symlink("/etc/pki/ca-trust/bundle.pem", link).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let more = authority("more");
        let trusted = add_certificates(lowers(&[&image]), &[&more], scratch.path()).unwrap();
        let merged = Merged(&trusted.lowers);
        for path in [
            "etc/pki/ca-trust/bundle.pem",
            "etc/pki/tls/certs/ca-bundle.crt",
        ] {
            assert_eq!(
                merged.text(path, CAP).unwrap(),
                format!("{known}{more}"),
                "{path}"
            );
        }
    }

    #[test]
    fn an_image_without_authorities_gets_those_of_the_machine() {
        let image = layer(&[("etc/passwd", "")]);
        let scratch = tempfile::tempdir().unwrap();
        let machine = authority("machine");
        let trusted = add_certificates(lowers(&[&image]), &[&machine], scratch.path()).unwrap();
        let bundle = Merged(&trusted.lowers).text(PLACES[0].bundle, CAP);
        assert_eq!(bundle.unwrap(), machine);
    }
}
