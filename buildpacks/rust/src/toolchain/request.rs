//! Parses the toolchain request of a project: `rust-toolchain.toml` or
//! `rust-toolchain`, as rustup reads them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::ToolchainError;

/// A request for a toolchain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// The channel; absent if any suffices.
    pub(crate) channel: Option<Channel>,
    /// Component names, as in rustup.
    pub(crate) components: Vec<String>,
    pub(crate) targets: Vec<String>,
    /// The minimum version: `rust-version` of the manifest.
    pub(crate) at_least: Option<String>,
    /// Keys that neither this buildpack nor rustup knows.
    pub(crate) unknown: Vec<String>,
}

/// The inputs of a request other than `rust-toolchain.toml`.
#[derive(Debug, Default)]
pub(crate) struct Wishes<'a> {
    /// The channel in the settings.
    pub(crate) channel: Option<&'a str>,
    /// `rust-version` of the manifest.
    pub(crate) rust_version: Option<&'a str>,
    /// The target platforms for which Cargo is configured to build.
    pub(crate) targets: Vec<String>,
}

/// A channel of the distribution server, or a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Channel {
    /// `stable`, `beta`, `nightly`, `1.85` or `1.85.1`.
    pub(crate) name: String,
    /// The date of a beta or nightly release: `2026-01-31`.
    pub(crate) date: Option<String>,
}

#[derive(Deserialize)]
struct File {
    toolchain: Section,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Section {
    channel: Option<String>,
    path: Option<String>,
    components: Vec<String>,
    targets: Vec<String>,
    profile: Option<Profile>,
    #[serde(flatten)]
    others: BTreeMap<String, toml::Value>,
}

/// A profile of rustup. Each has the components that a build needs: rustc,
/// cargo and the standard library.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Profile {
    Minimal,
    Default,
    Complete,
}

impl Profile {
    /// The further components of the profile, without documentation.
    fn components(self) -> &'static [&'static str] {
        match self {
            Self::Minimal => &[],
            Self::Default | Self::Complete => &["clippy", "rustfmt"],
        }
    }
}

impl Request {
    /// The request of a project. A setting takes precedence over its files.
    pub(crate) fn of(app: &Path, wishes: &Wishes<'_>) -> Result<Self, ToolchainError> {
        let mut request = Self::in_files(app)?;
        if let Some(channel) = wishes.channel {
            request.channel = Some(Channel::parse(channel)?);
        }
        request.targets.extend_from_slice(&wishes.targets);
        request.at_least = wishes.rust_version.map(str::to_owned);
        Ok(request)
    }

    fn in_files(app: &Path) -> Result<Self, ToolchainError> {
        // rustup searches in the same order.
        for file in ["rust-toolchain", "rust-toolchain.toml"] {
            if let Ok(text) = fs_err::read_to_string(app.join(file)) {
                return Self::parse(file, &text);
            }
        }
        Ok(Self::default())
    }

    fn parse(file: &'static str, text: &str) -> Result<Self, ToolchainError> {
        let plain = file == "rust-toolchain" && text.trim().lines().count() == 1;
        if plain && !text.contains('=') {
            let channel = Some(Channel::parse(text.trim())?);
            return Ok(Self {
                channel,
                ..Self::default()
            });
        }
        let malformed = |error: toml::de::Error| ToolchainError::File {
            file,
            reason: error.to_string(),
        };
        let Section {
            channel,
            path,
            mut components,
            targets,
            profile,
            others,
        } = toml::from_str::<File>(text).map_err(malformed)?.toolchain;
        if let Some(path) = path {
            return Err(ToolchainError::Path { file, path });
        }
        let channel = channel.as_deref().map(Channel::parse).transpose()?;
        let of_profile = profile.map_or(&[][..], Profile::components);
        components.extend(of_profile.iter().map(|it| (*it).to_owned()));
        Ok(Self {
            channel,
            components,
            targets,
            at_least: None,
            unknown: others.into_keys().collect(),
        })
    }
}

impl Channel {
    /// The server's newest stable Rust.
    pub(crate) fn stable() -> Self {
        Self {
            name: "stable".to_owned(),
            date: None,
        }
    }

    fn parse(text: &str) -> Result<Self, ToolchainError> {
        let refuse = || ToolchainError::Channel(text.to_owned());
        // A date may follow the channel, and the host may follow the date.
        let (name, rest) = split(text);
        let (number, _) = name.split_once('-').unwrap_or((name, ""));
        let parts = number.split('.');
        let is_version = parts.clone().all(is_number) && matches!(parts.count(), 2 | 3);
        let known = is_version || matches!(name, "stable" | "beta" | "nightly");
        if !known || text.ends_with('-') {
            return Err(refuse());
        }
        let date = rest.get(..10).filter(|date| is_date(date));
        if !rest.is_empty() && date.is_none() && rest.split('-').count() < 3 {
            return Err(refuse());
        }
        Ok(Self {
            name: name.to_owned(),
            date: date.map(str::to_owned),
        })
    }

    /// Whether the channel always means the same toolchain.
    pub(crate) fn is_fixed(&self) -> bool {
        self.date.is_some() || self.name.split('.').count() >= 3
    }

    /// The channel as people write it.
    pub(crate) fn display(&self) -> String {
        match &self.date {
            None => self.name.clone(),
            Some(date) => format!("{}-{date}", self.name),
        }
    }
}

/// Splits a text into a channel or version and the rest. `1.96.0-beta.2` is a
/// version.
fn split(text: &str) -> (&str, &str) {
    let (name, rest) = text.split_once('-').unwrap_or((text, ""));
    let suffix = rest.split('-').next().unwrap_or_default();
    let beta = suffix.strip_prefix("beta").unwrap_or("x");
    let number = beta.strip_prefix('.').is_some_and(is_number);
    if name.contains('.') && (beta.is_empty() || number) {
        let (version, rest) = text.split_at(name.len() + 1 + suffix.len());
        return (version, rest.strip_prefix('-').unwrap_or(rest));
    }
    (name, rest)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [4, 2, 2] && parts.into_iter().all(is_number)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn both_files_are_read_as_rustup_reads_them() {
        let text = "[toolchain]\nchannel = \"nightly-2026-01-31\"\ncomponents = [\"rust-src\"]\nprofile = \"minimal\"\n";
        let request = Request::parse("rust-toolchain.toml", text).unwrap();
        let channel = request.channel.unwrap();
        assert_eq!(
            (&*channel.name, channel.date.as_deref()),
            ("nightly", Some("2026-01-31"))
        );
        assert_eq!(request.components, ["rust-src"]);
        let text = "[toolchain]\nchannel = \"stable\"\nprofile = \"default\"\n";
        let request = Request::parse("rust-toolchain.toml", text).unwrap();
        assert_eq!(request.components, ["clippy", "rustfmt"]);
        let request = Request::parse("rust-toolchain", "1.85.1\n").unwrap();
        assert_eq!(request.channel.unwrap().display(), "1.85.1");
    }

    #[test]
    fn what_is_no_channel_is_refused() {
        for text in [
            "",
            "latest",
            "1",
            "1.x",
            "stable-",
            "nightly-2026",
            "1.96.0-alpha",
        ] {
            assert!(Channel::parse(text).is_err(), "{text}");
        }
        for (text, name) in [
            ("stable-x86_64-unknown-linux-gnu", "stable"),
            ("1.96.0-beta.2", "1.96.0-beta.2"),
            ("1.96-beta-x86_64-unknown-linux-gnu", "1.96-beta"),
        ] {
            assert_eq!(Channel::parse(text).unwrap().display(), name);
        }
        let path = Request::parse("rust-toolchain.toml", "[toolchain]\npath = \"/x\"\n");
        assert!(matches!(path.unwrap_err(), ToolchainError::Path { .. }));
        let unknown = Request::parse("rust-toolchain.toml", "[toolchain]\nchanel = \"stable\"\n");
        assert_eq!(unknown.unwrap().unknown, ["chanel"]);
    }
}
