//! Parses the parts of `Cargo.toml` that the buildpack itself needs.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::settings::Table;

/// `Cargo.toml` at the root.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Manifest {
    package: Option<Section>,
    workspace: Option<Section>,
    #[serde(default)]
    profile: BTreeMap<String, toml::Value>,
}

/// `[package]` or `[workspace]`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Section {
    rust_version: Option<toml::Value>,
    package: Option<Inherited>,
    metadata: Option<Metadata>,
}

/// `[workspace.package]`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Inherited {
    rust_version: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    locald: Option<Table>,
}

/// Reads the manifest. Absent if it is missing or malformed, because Cargo
/// reports that with file and line.
pub(crate) fn read(app: &Path) -> Option<Result<Manifest, toml::de::Error>> {
    let text = fs_err::read_to_string(app.join("Cargo.toml")).ok()?;
    text.parse::<toml::Table>().ok()?;
    Some(toml::from_str(&text))
}

impl Manifest {
    /// Takes `[package.metadata.locald]`, else `[workspace.metadata.locald]`.
    pub(crate) fn settings(&mut self) -> Option<Table> {
        let of = |section: &mut Option<Section>| section.as_mut()?.metadata.as_mut()?.locald.take();
        of(&mut self.package).or_else(|| of(&mut self.workspace))
    }

    /// Whether a profile sets `strip`.
    pub(crate) fn says_strip(&self, profile: &str) -> bool {
        let profile = self.profile.get(profile);
        profile.is_some_and(|profile| profile.get("strip").is_some())
    }

    /// The oldest Rust version that the project supports.
    pub(crate) fn rust_version(&self) -> Option<&str> {
        let own = self
            .package
            .as_ref()
            .and_then(|it| it.rust_version.as_ref());
        let own = own.and_then(toml::Value::as_str);
        let inherited = || {
            self.workspace
                .as_ref()?
                .package
                .as_ref()?
                .rust_version
                .as_deref()
        };
        own.or_else(inherited)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn settings_and_the_oldest_rust_are_found() {
        let text = "[package]\nrust-version.workspace = true\n[workspace.package]\nrust-version = \"1.80\"\n\
                    [package.metadata.locald]\nfeatures = [\"a\"]\n";
        let mut manifest: Manifest = toml::from_str(text).unwrap();
        assert_eq!(manifest.rust_version(), Some("1.80"));
        assert_eq!(manifest.settings().unwrap().features, ["a"]);
        assert!(manifest.settings().is_none());
        let profile =
            "[profile.release]\nstrip = \"none\"\n[profile.dist]\ninherits = \"release\"\n";
        let manifest: Manifest = toml::from_str(profile).unwrap();
        assert!(manifest.says_strip("release") && !manifest.says_strip("dist"));
    }

    #[test]
    fn an_unknown_setting_is_named_with_its_line() {
        let text = "[package]\nname = \"a\"\n[package.metadata.locald]\nfeature = []\n";
        let error = toml::from_str::<Manifest>(text).unwrap_err().to_string();
        assert!(
            error.contains("line 4") && error.contains("`features`"),
            "{error}"
        );
    }
}
