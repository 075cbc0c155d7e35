//! Reads the channel manifests (format 2) of a Rust distribution server, such
//! as static.rust-lang.org.

use std::collections::BTreeMap;
use std::io::Read as _;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Channel, ToolchainError};
use crate::http::{self, HttpError, hex};

const DEFAULT: &str = "https://static.rust-lang.org";
/// The most bytes of a manifest. Current ones have less than 1 MB.
const MANIFEST_CAP: u64 = 32 * 1024 * 1024;

/// A distribution server.
#[derive(Debug)]
pub(super) struct Server {
    url: String,
}

/// The manifest of a channel.
#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    /// The day of the release: `2026-01-31`.
    pub(super) date: String,
    pkg: BTreeMap<String, Package>,
    #[serde(default)]
    renames: BTreeMap<String, Rename>,
}

#[derive(Debug, Deserialize)]
struct Package {
    version: String,
    #[serde(default)]
    target: BTreeMap<String, Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    available: bool,
    url: Option<String>,
    hash: Option<String>,
    xz_url: Option<String>,
    xz_hash: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Rename {
    to: String,
}

/// An archive to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Archive {
    pub(super) component: String,
    pub(super) target: String,
    pub(super) url: String,
    pub(super) hash: String,
    pub(super) compression: Compression,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Xz,
}

impl Server {
    /// The server in `RUSTUP_DIST_SERVER`, as rustup reads it.
    pub(super) fn from_env() -> Self {
        let given = std::env::var("RUSTUP_DIST_SERVER").ok();
        let given = given.filter(|url| !url.is_empty());
        let url = given.as_deref().unwrap_or(DEFAULT);
        let url = url.trim_end_matches('/').to_owned();
        Self { url }
    }

    /// Fetches the manifest of a channel, and verifies its hash.
    pub(super) fn manifest(&self, channel: &Channel) -> Result<Manifest, ToolchainError> {
        let day = channel.date.iter().map(|date| format!("{date}/"));
        let day: String = day.collect();
        let url = format!("{}/dist/{day}channel-rust-{}.toml", self.url, channel.name);
        let bytes = Self::get(&url).map_err(|error| match error {
            HttpError::NotFound { .. } => ToolchainError::UnknownChannel {
                channel: channel.display(),
                server: self.url.clone(),
            },
            source => self.unreachable(source),
        })?;
        self.check(&url, &bytes)?;
        let malformed = |reason: String| ToolchainError::Manifest {
            url: url.clone(),
            reason,
        };
        let text = std::str::from_utf8(&bytes).map_err(|error| malformed(error.to_string()))?;
        toml::from_str(text).map_err(|error| malformed(error.to_string()))
    }

    /// Verifies a manifest with the hash file beside it. A mirror may lack that
    /// file.
    fn check(&self, url: &str, bytes: &[u8]) -> Result<(), ToolchainError> {
        let expected = match Self::get(&format!("{url}.sha256")) {
            Err(HttpError::NotFound { .. }) => return Ok(()),
            got => got.map_err(|source| self.unreachable(source))?,
        };
        let expected = String::from_utf8_lossy(&expected);
        let expected = expected
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned();
        let actual = hex(&Sha256::digest(bytes));
        if actual == expected {
            return Ok(());
        }
        let url = url.to_owned();
        Err(ToolchainError::Mismatch {
            url,
            expected,
            actual,
        })
    }

    fn get(url: &str) -> Result<Vec<u8>, HttpError> {
        let mut bytes = Vec::new();
        let body = http::get(url)?;
        let read = body.take(MANIFEST_CAP).read_to_end(&mut bytes);
        read.map_err(|source| HttpError::Broken {
            url: url.to_owned(),
            source,
        })?;
        Ok(bytes)
    }

    pub(super) fn unreachable(&self, source: HttpError) -> ToolchainError {
        let server = self.url.clone();
        ToolchainError::Unreachable { server, source }
    }

    /// The address on a mirror for an address of the original server in a
    /// manifest.
    pub(super) fn locate(&self, url: &str) -> String {
        match url.strip_prefix(DEFAULT) {
            Some(path) => format!("{}{path}", self.url),
            None => url.to_owned(),
        }
    }
}

impl Manifest {
    /// The version of the compiler, without its commit.
    pub(super) fn version(&self) -> &str {
        let rustc = self.pkg.get("rustc");
        let version = rustc.map_or("", |package| &package.version);
        version.split(' ').next().unwrap_or_default()
    }

    /// The archive of a component for a target.
    pub(super) fn archive(&self, component: &str, target: &str) -> Result<Archive, ToolchainError> {
        let missing = || ToolchainError::Missing {
            component: component.to_owned(),
            target: target.to_owned(),
            version: self.version().to_owned(),
        };
        let name = self
            .renames
            .get(component)
            .map_or(component, |rename| &rename.to);
        let package = self.pkg.get(name).ok_or_else(missing)?;
        let found = package
            .target
            .get(target)
            .or_else(|| package.target.get("*"));
        let found = found.filter(|it| it.available).ok_or_else(missing)?;
        let xz = (&found.xz_url, &found.xz_hash, Compression::Xz);
        let gzip = (&found.url, &found.hash, Compression::Gzip);
        let offered = [xz, gzip]
            .into_iter()
            .find_map(|(url, hash, compression)| Some((url.clone()?, hash.clone()?, compression)));
        let (url, hash, compression) = offered.ok_or_else(missing)?;
        Ok(Archive {
            component: component.to_owned(),
            target: target.to_owned(),
            url,
            hash,
            compression,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const MANIFEST: &str = r#"
        manifest-version = "2"
        date = "2026-04-16"
        [pkg.rustc]
        version = "1.95.0 (59807616e 2026-04-14)"
        [pkg.rustc.target.x86_64-unknown-linux-gnu]
        available = true
        url = "https://static.rust-lang.org/dist/a.tar.gz"
        hash = "aa"
        xz_url = "https://static.rust-lang.org/dist/a.tar.xz"
        xz_hash = "bb"
        [pkg.rust-src]
        version = "1.95.0"
        [pkg.rust-src.target."*"]
        available = true
        url = "https://elsewhere/src.tar.gz"
        hash = "cc"
        [pkg.llvm-tools-preview]
        version = "1.95.0"
        [pkg.llvm-tools-preview.target.x86_64-unknown-linux-gnu]
        available = false
        [renames.llvm-tools]
        to = "llvm-tools-preview"
    "#;
    const HOST: &str = "x86_64-unknown-linux-gnu";

    #[test]
    fn archives_are_found_and_xz_is_preferred() {
        let manifest: Manifest = toml::from_str(MANIFEST).unwrap();
        assert_eq!(manifest.version(), "1.95.0");
        let archive = manifest.archive("rustc", HOST).unwrap();
        assert_eq!(
            (&*archive.hash, archive.compression),
            ("bb", Compression::Xz)
        );
        let archive = manifest.archive("rust-src", HOST).unwrap();
        assert_eq!(archive.compression, Compression::Gzip);
        let missing =
            |component, target| manifest.archive(component, target).unwrap_err().to_string();
        assert_eq!(
            missing("rustc", "riscv"),
            "Rust 1.95.0 has no rustc for riscv"
        );
        assert!(missing("llvm-tools", HOST).contains("llvm-tools"));
    }

    #[test]
    fn a_mirror_is_asked_for_everything() {
        let server = Server {
            url: "http://mirror:8000".to_owned(),
        };
        let moved = server.locate("https://static.rust-lang.org/dist/a.tar.gz");
        assert_eq!(moved, "http://mirror:8000/dist/a.tar.gz");
        assert_eq!(server.locate("https://elsewhere/b"), "https://elsewhere/b");
    }
}
