//! Reads the credentials of private registries and repositories from bindings.
//! Cargo gets them through its environment. They are never written to a file.
//!
//! ```text
//! <platform>/bindings/NAME/type          cargo, or git-credentials
//! <platform>/bindings/NAME/TOKEN-FILE    cargo: `credentials.toml`
//! <platform>/bindings/NAME/credentials   git-credentials: lines of git's store
//! ```

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Cargo's own `credentials.toml`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    registry: Registry,
    registries: std::collections::BTreeMap<String, Registry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Registry {
    token: Option<String>,
}

/// The variable that names Cargo's credential providers. Without it, Cargo asks
/// no provider, not even its own, which reads variables.
const PROVIDERS: &str = "CARGO_REGISTRY_GLOBAL_CREDENTIAL_PROVIDERS";

/// Enables Cargo's own provider, also in a shell.
pub(crate) fn provider() -> Option<(OsString, OsString)> {
    let unset = std::env::var_os(PROVIDERS).is_none();
    unset.then(|| (PROVIDERS.into(), "cargo:token".into()))
}

/// The credentials of bindings, as variables for Cargo and git.
pub(crate) fn variables(platform: &Path) -> Vec<(OsString, OsString)> {
    let root = std::env::var_os("SERVICE_BINDING_ROOT");
    let root = root.map_or_else(|| platform.join("bindings"), PathBuf::from);
    let entries = fs_err::read_dir(root).into_iter().flatten().flatten();
    let mut variables = Vec::new();
    for binding in entries.map(|entry| entry.path()) {
        let kind = fs_err::read_to_string(binding.join("type")).unwrap_or_default();
        match kind.trim() {
            "cargo" => variables.extend(tokens(&binding.join("credentials.toml"))),
            "git-credentials" => variables.extend(git(&binding.join("credentials"))),
            _ => {}
        }
    }
    variables
}

fn tokens(file: &Path) -> Vec<(OsString, OsString)> {
    let text = fs_err::read_to_string(file).unwrap_or_default();
    let file: File = toml::from_str(&text).unwrap_or_default();
    let own = file
        .registry
        .token
        .map(|token| ("CARGO_REGISTRY_TOKEN".to_owned(), token));
    let others = file.registries.into_iter().filter_map(|(name, registry)| {
        let name = name.to_uppercase().replace('-', "_");
        Some((format!("CARGO_REGISTRIES_{name}_TOKEN"), registry.token?))
    });
    let all = own.into_iter().chain(others);
    all.map(|(name, token)| (name.into(), token.into()))
        .collect()
}

/// Variables that configure git. They require the program git, because Cargo's
/// own implementation does not read them.
fn git(file: &Path) -> Vec<(OsString, OsString)> {
    if !file.is_file() {
        return Vec::new();
    }
    let variables = [
        ("CARGO_NET_GIT_FETCH_WITH_CLI", "true".to_owned()),
        ("GIT_CONFIG_COUNT", "1".to_owned()),
        ("GIT_CONFIG_KEY_0", "credential.helper".to_owned()),
        (
            "GIT_CONFIG_VALUE_0",
            format!("store --file={}", file.display()),
        ),
    ];
    let variable = |(name, value): (&str, String)| (name.into(), value.into());
    variables.into_iter().map(variable).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn tokens_become_variables() {
        let platform = tempfile::tempdir().unwrap();
        let binding = platform.path().join("bindings/mine");
        fs_err::create_dir_all(&binding).unwrap();
        fs_err::write(binding.join("type"), "cargo\n").unwrap();
        let text = "[registries.my-company]\ntoken = \"secret\"\n";
        fs_err::write(binding.join("credentials.toml"), text).unwrap();
        let variables = variables(platform.path());
        assert_eq!(
            variables,
            [("CARGO_REGISTRIES_MY_COMPANY_TOKEN".into(), "secret".into())]
        );
    }
}
