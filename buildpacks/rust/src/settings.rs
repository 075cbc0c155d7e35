//! Parses the user's settings. Precedence: `BP_…` variables,
//! `[package.metadata.locald]`, `[workspace.metadata.locald]`.

use serde::Deserialize;

/// `[package.metadata.locald]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Table {
    /// A channel, as in `rust-toolchain.toml`.
    pub(crate) toolchain: Option<String>,
    /// Cargo's profile.
    pub(crate) profile: Option<String>,
    pub(crate) features: Vec<String>,
    pub(crate) all_features: bool,
    pub(crate) default_features: Option<bool>,
    /// The members of the workspace to build.
    pub(crate) packages: Vec<String>,
    pub(crate) bins: Vec<String>,
    pub(crate) examples: Vec<String>,
    /// Further arguments of `cargo build`.
    pub(crate) cargo_args: Vec<String>,
    /// The binary that the image starts.
    pub(crate) web: Option<String>,
    /// Patterns of source files that stay in the image.
    pub(crate) include: Vec<String>,
    pub(crate) strip: Option<bool>,
    pub(crate) apt_packages: Vec<String>,
}

/// A setting is not valid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("the settings in Cargo.toml cannot be used")]
    Table(#[source] toml::de::Error),
    #[error("{name} is {value:?}, which is neither true nor false")]
    Switch { name: &'static str, value: String },
    #[error("{name} is not UTF-8")]
    Encoding { name: &'static str },
}

impl SettingsError {
    pub(crate) fn hint(&self) -> Option<String> {
        matches!(self, Self::Table(_))
            .then(|| "docs/rust.md lists all settings of `[package.metadata.locald]`".to_owned())
    }
}

/// The names of all variables that are settings.
const VARIABLES: [&str; 13] = [
    "BP_RUST_TOOLCHAIN",
    "BP_CARGO_PROFILE",
    "BP_CARGO_FEATURES",
    "BP_CARGO_ALL_FEATURES",
    "BP_CARGO_DEFAULT_FEATURES",
    "BP_CARGO_PACKAGES",
    "BP_CARGO_BINS",
    "BP_CARGO_EXAMPLES",
    "BP_CARGO_ARGS",
    "BP_RUST_WEB",
    "BP_RUST_STRIP",
    "BP_INCLUDE_FILES",
    "BP_APT_PACKAGES",
];

/// Looks up a variable of a build by name.
type Variables<'a> = &'a dyn Fn(&str) -> Option<std::ffi::OsString>;

impl Table {
    /// Overrides the table with the variables.
    pub(crate) fn overridden(mut self, variables: Variables<'_>) -> Result<Self, SettingsError> {
        let get = |name| text(variables, name);
        let switch = |name| {
            get(name)?
                .map(|value| parse_switch(name, value))
                .transpose()
        };
        let set = |into: &mut Option<String>, name| -> Result<(), SettingsError> {
            *into = get(name)?.or(into.take());
            Ok(())
        };
        let set_list = |into: &mut Vec<String>, name| -> Result<(), SettingsError> {
            if let Some(text) = get(name)? {
                *into = words(&text);
            }
            Ok(())
        };
        set(&mut self.toolchain, "BP_RUST_TOOLCHAIN")?;
        set(&mut self.profile, "BP_CARGO_PROFILE")?;
        set(&mut self.web, "BP_RUST_WEB")?;
        set_list(&mut self.features, "BP_CARGO_FEATURES")?;
        set_list(&mut self.packages, "BP_CARGO_PACKAGES")?;
        set_list(&mut self.bins, "BP_CARGO_BINS")?;
        set_list(&mut self.examples, "BP_CARGO_EXAMPLES")?;
        set_list(&mut self.apt_packages, "BP_APT_PACKAGES")?;
        if let Some(arguments) = get("BP_CARGO_ARGS")? {
            self.cargo_args = arguments.split_whitespace().map(str::to_owned).collect();
        }
        if let Some(patterns) = get("BP_INCLUDE_FILES")? {
            // Other buildpacks use the same separator.
            let patterns = patterns.split(':').filter(|pattern| !pattern.is_empty());
            self.include = patterns.map(str::to_owned).collect();
        }
        self.all_features = switch("BP_CARGO_ALL_FEATURES")?.unwrap_or(self.all_features);
        self.default_features = switch("BP_CARGO_DEFAULT_FEATURES")?.or(self.default_features);
        self.strip = switch("BP_RUST_STRIP")?.or(self.strip);
        Ok(self)
    }

    /// Cargo's profile.
    pub(crate) fn profile(&self) -> &str {
        self.profile.as_deref().unwrap_or("release")
    }
}

/// The most similar setting, if a variable has the prefix of a setting and is
/// unknown.
pub(crate) fn misspelt(name: &str) -> Option<&'static str> {
    let ours = name.starts_with("BP_CARGO_") || name.starts_with("BP_RUST_");
    if !ours || VARIABLES.contains(&name) {
        return None;
    }
    let distance = |known: &&&str| strsim::damerau_levenshtein(known, name);
    VARIABLES.iter().min_by_key(distance).copied()
}

/// The value of a variable; absent if it is empty.
fn text(variables: Variables<'_>, name: &'static str) -> Result<Option<String>, SettingsError> {
    let Some(value) = variables(name).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let value = value.into_string();
    value
        .map(|text| Some(text.trim().to_owned()))
        .map_err(|_| SettingsError::Encoding { name })
}

/// Splits words at commas and spaces.
fn words(text: &str) -> Vec<String> {
    let separator = |character: char| character == ',' || character.is_whitespace();
    let words = text.split(separator).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

fn parse_switch(name: &'static str, value: String) -> Result<bool, SettingsError> {
    match &*value {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(SettingsError::Switch { name, value }),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn variables_beat_the_table() {
        let table = Table {
            features: vec!["a".to_owned()],
            profile: Some("dist".to_owned()),
            ..Table::default()
        };
        let variables = |name: &str| match name {
            "BP_CARGO_FEATURES" => Some("b,c d".into()),
            "BP_INCLUDE_FILES" => Some("static/**:x".into()),
            "BP_CARGO_ALL_FEATURES" => Some("true".into()),
            _ => None,
        };
        let settings = table.overridden(&variables).unwrap();
        assert_eq!(settings.features, ["b", "c", "d"]);
        assert_eq!(settings.include, ["static/**", "x"]);
        assert_eq!(settings.profile(), "dist");
        assert!(settings.all_features);
    }

    #[test]
    fn a_switch_is_true_or_false() {
        let variables = |name: &str| (name == "BP_RUST_STRIP").then(|| "maybe".into());
        let error = Table::default().overridden(&variables).unwrap_err();
        assert!(error.to_string().contains("BP_RUST_STRIP is \"maybe\""));
    }

    #[test]
    fn misspelt_variables_are_told() {
        assert_eq!(misspelt("BP_CARGO_FEATURE"), Some("BP_CARGO_FEATURES"));
        assert_eq!(misspelt("BP_CARGO_FEATURES"), None);
        assert_eq!(misspelt("BP_JVM_VERSION"), None);
    }
}
