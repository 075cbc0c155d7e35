//! Explains Cargo's messages to a user who builds in an image: a missing
//! library, program, network, or memory.

mod native;

/// The reason why Cargo failed, and a hint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Explanation {
    pub(crate) text: String,
    pub(crate) hint: String,
}

const NETWORK: [&str; 6] = [
    "Could not resolve host",
    "Couldn't resolve host",
    "failed to lookup address",
    "network failure seems to have happened",
    "Could not connect to server",
    "Couldn't connect to server",
];

/// Explains the messages of a failed run. Absent for an error of the project
/// itself, such as a compiler error.
pub(crate) fn explain(said: &str) -> Option<Explanation> {
    killed(said)
        .or_else(|| network(said))
        .or_else(|| lock(said))
        .or_else(|| rust_version(said))
        .or_else(|| features(said))
        .or_else(|| outside(said))
        .or_else(|| git(said))
        .or_else(|| native::explain(said))
}

fn explanation(text: String, hint: impl Into<String>) -> Explanation {
    let hint = hint.into();
    Explanation { text, hint }
}

fn killed(said: &str) -> Option<Explanation> {
    said.find("(signal: 9")?;
    let unit = between(said, "could not compile `", "`").unwrap_or("a crate");
    Some(explanation(
        format!("the compiler was killed while it compiled {unit}: out of memory?"),
        "give the machine more memory, or compile fewer crates at a time: -e CARGO_BUILD_JOBS=1",
    ))
}

fn network(said: &str) -> Option<Explanation> {
    NETWORK.iter().find(|text| said.contains(**text))?;
    Some(explanation(
        "cargo cannot reach the network to fetch what the project depends on".to_owned(),
        "check the network and the proxy variables; `cargo vendor` makes a project that needs none",
    ))
}

fn lock(said: &str) -> Option<Explanation> {
    let stale = said.contains("--locked was passed");
    if stale {
        return Some(explanation(
            "Cargo.lock does not fit Cargo.toml".to_owned(),
            "`cargo update --workspace` writes it anew",
        ));
    }
    let offline = said.contains("--offline was specified") || said.contains("in offline mode");
    offline.then_some(())?;
    Some(explanation(
        "cargo was told to work offline, and lacks what the project depends on".to_owned(),
        "`cargo vendor`, or a build with the network",
    ))
}

fn rust_version(said: &str) -> Option<Explanation> {
    let line = said.lines().find(|line| {
        line.contains("is not supported by the following package")
            || line.contains("requires rustc")
            || line.contains("requires a Cargo version")
            || line.contains("feature `edition2024` is required")
            || line.contains("this version of Cargo is older than")
            || line.contains("but this version of Cargo does not understand this lock file")
            || line.contains("requires `-Znext-lockfile-bump`")
    })?;
    Some(explanation(
        format!(
            "the toolchain is too old: {}",
            line.trim().trim_start_matches("error: ")
        ),
        "name a newer one in rust-toolchain.toml, by `rust-version`, or by BP_RUST_TOOLCHAIN",
    ))
}

/// A named binary needs a feature that is not enabled.
fn features(said: &str) -> Option<Explanation> {
    let is_it = |line: &&str| line.contains("requires the features: `");
    let line = said.lines().find(is_it)?;
    Some(explanation(
        line.trim().trim_start_matches("error: ").to_owned(),
        "`features` in [package.metadata.locald], or BP_CARGO_FEATURES, enables features",
    ))
}

/// A build script or a macro needs the git repository.
fn git(said: &str) -> Option<Explanation> {
    said.contains("not a git repository").then_some(())?;
    Some(explanation(
        "the build asks git, and the folder's .git does not come along".to_owned(),
        "let it read a variable instead, which `-e COMMIT=\"$(git describe)\"` gives a build",
    ))
}

/// A path leads out of the source folder.
fn outside(said: &str) -> Option<Explanation> {
    said.contains("No such file or directory").then_some(())?;
    let manifest = between(said, "failed to read `", "`")?;
    let directory = manifest.strip_suffix("/Cargo.toml")?;
    Some(explanation(
        format!("the project needs {directory}, which is not in the folder that is built"),
        "build the folder that holds both, with a [workspace] in its Cargo.toml; a submodule that is not \
         checked out, or an ignore file, leaves folders out, too",
    ))
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn causes_outside_the_project_are_told() {
        let cases = [
            (
                "process didn't exit successfully (signal: 9, SIGKILL: kill)",
                "out of memory",
            ),
            (
                "[6] Could not resolve hostname (Could not resolve host: index)",
                "the network",
            ),
            (
                "cannot update the lock file because --locked was passed",
                "Cargo.lock",
            ),
            (
                "error: target `admin` in package `shop` requires the features: `ui`\nConsider",
                "target `admin` in package `shop` requires the features: `ui`",
            ),
            (
                "failed to read `/shared/Cargo.toml`\n\nCaused by:\n  No such file or directory (os error 2)",
                "needs /shared, which is not in the folder",
            ),
            (
                "rustc 1.70.0 is not supported by the following package:",
                "too old",
            ),
            (
                "lock file version `4` was found, but this version of Cargo does not understand this lock file",
                "too old",
            ),
            (
                "fatal: not a git repository (or any of the parent directories): .git",
                "asks git",
            ),
        ];
        for (said, expected) in cases {
            let text = explain(said).unwrap().text;
            assert!(text.contains(expected), "{text}");
        }
        assert_eq!(explain("error[E0308]: mismatched types"), None);
    }
}
