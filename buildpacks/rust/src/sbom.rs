//! Makes a bill of materials of `Cargo.lock` in the format of `CycloneDX`. It
//! is reproducible: it contains no time and no serial number.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Deserialize)]
pub(crate) struct Lock {
    #[serde(default, rename = "package")]
    pub(crate) packages: Vec<Locked>,
}

/// A `[[package]]` of `Cargo.lock`.
#[derive(Debug, Deserialize)]
pub(crate) struct Locked {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Absent for a member of the workspace.
    pub(crate) source: Option<String>,
    checksum: Option<String>,
}

impl Lock {
    /// Reads the lock file of a project; empty if it cannot be read.
    pub(crate) fn read(app: &Path) -> Self {
        let text = fs_err::read_to_string(app.join("Cargo.lock")).unwrap_or_default();
        toml::from_str(&text).unwrap_or(Self {
            packages: Vec::new(),
        })
    }
}

/// The document. It takes licences from the sources that Cargo has unpacked.
pub(crate) fn cyclonedx(lock: &Lock, sources: &[PathBuf]) -> Vec<u8> {
    let (foreign, own): (Vec<_>, Vec<_>) = lock
        .packages
        .iter()
        .partition(|package| package.source.is_some());
    let components: Vec<Value> = foreign.iter().map(|it| component(it, sources)).collect();
    let own: Vec<Value> = own.iter().map(|it| component(it, &[])).collect();
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "application", "components": own}},
        "components": components,
    });
    document.to_string().into_bytes()
}

fn component(package: &Locked, sources: &[PathBuf]) -> Value {
    let Locked { name, version, .. } = package;
    let purl = purl(package);
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
    });
    if let Some(checksum) = &package.checksum {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    if let Some(licence) = licence(package, sources) {
        component["licenses"] = json!([{"expression": licence}]);
    }
    component
}

/// The package URL: Package URL specification, type `cargo`.
fn purl(package: &Locked) -> String {
    // A URL must escape the `+` of a version's metadata.
    let version = package.version.replace('+', "%2B");
    let purl = format!("pkg:cargo/{}@{version}", package.name);
    let git = package
        .source
        .as_ref()
        .and_then(|it| it.strip_prefix("git+"));
    match git {
        None => purl,
        Some(url) => format!("{purl}?vcs_url={}", escape(url)),
    }
}

fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte);
    let escaped = |byte: u8| {
        if plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(escaped).collect()
}

fn licence(package: &Locked, sources: &[PathBuf]) -> Option<String> {
    #[derive(Deserialize)]
    struct Manifest {
        package: Section,
    }
    #[derive(Deserialize)]
    struct Section {
        license: Option<String>,
    }
    let full = format!("{}-{}", package.name, package.version);
    let names = [full, package.name.clone()];
    let places = sources
        .iter()
        .flat_map(|source| names.iter().map(|name| source.join(name)));
    let read = |place: PathBuf| fs_err::read_to_string(place.join("Cargo.toml")).ok();
    let text = places.into_iter().find_map(read)?;
    let manifest: Manifest = toml::from_str(&text).ok()?;
    // An older spelling of OR.
    manifest.package.license.map(|it| it.replace('/', " OR "))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn packages_have_name_licence_checksum_and_url() {
        let app = tempfile::tempdir().unwrap();
        let lock = "version = 4\n[[package]]\nname = \"shop\"\nversion = \"0.1.0\"\n\
            [[package]]\nname = \"serde\"\nversion = \"1.0.0+x\"\nchecksum = \"abcd\"\n\
            source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        fs_err::write(app.path().join("Cargo.lock"), lock).unwrap();
        let source = app.path().join("src/serde-1.0.0+x");
        fs_err::create_dir_all(&source).unwrap();
        let manifest = "[package]\nlicense = \"MIT/Apache-2.0\"\n";
        fs_err::write(source.join("Cargo.toml"), manifest).unwrap();
        let document = cyclonedx(&Lock::read(app.path()), &[app.path().join("src")]);
        let document: Value = serde_json::from_slice(&document).unwrap();
        let serde = &document["components"][0];
        assert_eq!(serde["purl"], "pkg:cargo/serde@1.0.0%2Bx");
        assert_eq!(serde["hashes"][0]["content"], "abcd");
        assert_eq!(serde["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(
            document["metadata"]["component"]["components"][0]["name"],
            "shop"
        );
    }
}
