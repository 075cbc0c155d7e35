//! Determines the target platforms of the build, which the toolchain must
//! support.

use std::ffi::OsString;
use std::path::Path;

use serde::Deserialize;

/// `.cargo/config.toml`
#[derive(Default, Deserialize)]
struct Configuration {
    #[serde(default)]
    build: Build,
}

#[derive(Default, Deserialize)]
struct Build {
    target: Option<Targets>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Targets {
    One(String),
    Several(Vec<String>),
}

/// The names of the targets. Precedence: Cargo's arguments, its variable, the
/// project's configuration. Skips files that describe a target.
pub(crate) fn configured(
    app: &Path,
    arguments: &[String],
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Vec<String> {
    let mut targets = of_arguments(arguments);
    if targets.is_empty() {
        let variable = variable("CARGO_BUILD_TARGET").and_then(|it| it.into_string().ok());
        targets.extend(variable.filter(|it| !it.is_empty()));
    }
    if targets.is_empty() {
        targets = of_file(app);
    }
    let is_file = |target: &str| Path::new(target).extension().is_some_and(|it| it == "json");
    targets.retain(|target| target != "host-tuple" && !is_file(target));
    targets
}

fn of_arguments(arguments: &[String]) -> Vec<String> {
    let mut targets = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.strip_prefix("--target") {
            Some("") => targets.extend(rest.next().cloned()),
            Some(value) => targets.extend(value.strip_prefix('=').map(str::to_owned)),
            None => {}
        }
    }
    targets
}

fn of_file(app: &Path) -> Vec<String> {
    // Cargo searches in the same order.
    let paths = ["config", "config.toml"].map(|name| app.join(".cargo").join(name));
    let text = paths
        .iter()
        .find_map(|path| fs_err::read_to_string(path).ok());
    let read = text.and_then(|text| toml::from_str::<Configuration>(&text).ok());
    match read.unwrap_or_default().build.target {
        None => Vec::new(),
        Some(Targets::One(target)) => vec![target],
        Some(Targets::Several(targets)) => targets,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn what_is_nearer_to_cargo_says_for_what_it_builds() {
        let app = tempfile::tempdir().unwrap();
        fs_err::create_dir(app.path().join(".cargo")).unwrap();
        let file = app.path().join(".cargo/config.toml");
        let none = |_: &str| None;
        let of_file = |text: &str| {
            fs_err::write(&file, text).unwrap();
            configured(app.path(), &[], &none)
        };
        assert_eq!(of_file("[alias]\nb = \"build\"\n"), [""; 0]);
        assert_eq!(of_file("[build]\ntarget = \"own.json\"\n"), [""; 0]);
        assert_eq!(of_file("[build]\ntarget = [\"a\", \"b\"]\n"), ["a", "b"]);
        assert_eq!(of_file("[build]\ntarget = \"musl\"\n"), ["musl"]);
        let set = |name: &str| (name == "CARGO_BUILD_TARGET").then(|| "wasm".into());
        assert_eq!(configured(app.path(), &[], &set), ["wasm"]);
        let arguments = ["-v", "--target=x", "--target", "y", "--target-dir", "z"];
        let arguments = arguments.map(str::to_owned);
        assert_eq!(configured(app.path(), &arguments, &set), ["x", "y"]);
    }
}
