//! What Cargo's messages mean for somebody who builds in an image: a missing
//! library, program, network, or memory.

/// Why Cargo failed, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Explanation {
    pub(crate) text: String,
    pub(crate) hint: String,
}

/// Native libraries by the crate that links them: Debian's packages.
const LIBRARIES: [(&str, &str); 18] = [
    ("openssl-sys", "libssl-dev pkg-config"),
    ("libsqlite3-sys", "libsqlite3-dev pkg-config"),
    ("pq-sys", "libpq-dev pkg-config"),
    ("mysqlclient-sys", "default-libmysqlclient-dev pkg-config"),
    ("libz-sys", "zlib1g-dev pkg-config"),
    ("bzip2-sys", "libbz2-dev pkg-config"),
    ("lzma-sys", "liblzma-dev pkg-config"),
    ("zstd-sys", "libzstd-dev pkg-config"),
    ("curl-sys", "libcurl4-openssl-dev pkg-config"),
    ("libssh2-sys", "libssh2-1-dev pkg-config"),
    ("libgit2-sys", "libgit2-dev pkg-config"),
    ("libudev-sys", "libudev-dev pkg-config"),
    ("libdbus-sys", "libdbus-1-dev pkg-config"),
    ("alsa-sys", "libasound2-dev pkg-config"),
    ("rdkafka-sys", "librdkafka-dev pkg-config"),
    ("libpcap-sys", "libpcap-dev"),
    ("clang-sys", "libclang-dev"),
    ("prost-build", "protobuf-compiler"),
];

/// Programs that builds call, by what is said when they are missing.
const PROGRAMS: [(&str, &str, &str); 8] = [
    ("linker `cc` not found", "a C compiler", "gcc libc6-dev"),
    (
        "failed to find tool \"cc\"",
        "a C compiler",
        "gcc libc6-dev",
    ),
    ("failed to find tool \"c++\"", "a C++ compiler", "g++"),
    ("is `cmake` not installed?", "cmake", "cmake"),
    (
        "Could not find `protoc`",
        "the compiler of protocol buffers",
        "protobuf-compiler",
    ),
    ("Unable to find libclang", "libclang", "libclang-dev"),
    (
        "`pkg-config` command could not be",
        "pkg-config",
        "pkg-config",
    ),
    (
        "pkg-config command could not be",
        "pkg-config",
        "pkg-config",
    ),
];

const NETWORK: [&str; 6] = [
    "Could not resolve host",
    "Couldn't resolve host",
    "failed to lookup address",
    "network failure seems to have happened",
    "Could not connect to server",
    "Couldn't connect to server",
];

/// Explains the messages of a run that failed; what is the project's own, like
/// an error of the compiler, needs no explanation.
pub(crate) fn explain(said: &str) -> Option<Explanation> {
    killed(said)
        .or_else(|| network(said))
        .or_else(|| lock(said))
        .or_else(|| rust_version(said))
        .or_else(|| native(said))
        .or_else(|| program(said))
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
    })?;
    Some(explanation(
        format!(
            "the toolchain is too old: {}",
            line.trim().trim_start_matches("error: ")
        ),
        "name a newer one in rust-toolchain.toml, by `rust-version`, or by BP_RUST_TOOLCHAIN",
    ))
}

/// A build script of a crate that links something.
fn native(said: &str) -> Option<Explanation> {
    let name = between(said, "failed to run custom build command for `", " v")?;
    let wanted = looked_for(said);
    let known = LIBRARIES.iter().find(|(known, _)| *known == name);
    if known.is_none() && wanted.is_none() {
        return None;
    }
    let looks = wanted.map_or_else(String::new, |wanted| format!(": it looks for {wanted}"));
    let packages = known.map_or("PACKAGES", |(_, packages)| packages);
    Some(explanation(
        format!("the crate {name} does not find what it needs in the builder{looks}"),
        format!("`BP_APT_PACKAGES=\"{packages}\"`, or apt-packages in [package.metadata.locald]"),
    ))
}

/// The library, header or program that a message is about.
fn looked_for(said: &str) -> Option<String> {
    let library =
        between(said, "The system library `", "`").map(|name| format!("the library {name}"));
    let header = || {
        let line = said
            .lines()
            .find(|line| line.contains("No such file or directory"))?;
        let (_, rest) = line.split_once("fatal error: ")?;
        let (name, _) = rest.split_once(':')?;
        Some(format!("the header {name}"))
    };
    let tool = || {
        let found = PROGRAMS.iter().find(|(text, ..)| said.contains(text))?;
        Some(found.1.to_owned())
    };
    let linked = || unlinked(said).map(|name| format!("the library {name}"));
    library.or_else(header).or_else(tool).or_else(linked)
}

fn program(said: &str) -> Option<Explanation> {
    if let Some((_, what, packages)) = PROGRAMS.iter().find(|(text, ..)| said.contains(text)) {
        return Some(explanation(
            format!("the builder has no {}", what.trim_start_matches("a ")),
            format!("`BP_APT_PACKAGES=\"{packages}\"`, or a builder that has it"),
        ));
    }
    let library = unlinked(said)?;
    Some(explanation(
        format!("the linker does not find the library {library} in the builder"),
        "BP_APT_PACKAGES installs Debian packages for the build",
    ))
}

/// What a linker does not find.
fn unlinked(said: &str) -> Option<&str> {
    let of_ld = || between(said, "cannot find -l", ":");
    between(said, "unable to find library -l", "\n").or_else(of_ld)
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
    fn a_missing_library_names_crate_library_and_setting() {
        let said = "error: failed to run custom build command for `openssl-sys v0.9.109`\n\
                    The system library `openssl` required by crate `openssl-sys` was not found.";
        let explained = explain(said).unwrap();
        assert_eq!(
            explained.text,
            "the crate openssl-sys does not find what it needs in the builder: it looks for the library openssl"
        );
        assert!(explained.hint.contains("libssl-dev pkg-config"));
    }

    #[test]
    fn a_missing_header_is_named() {
        let said = "error: failed to run custom build command for `foo-sys v1.0.0`\n\
                    src/x.c:1:10: fatal error: foo.h: No such file or directory";
        assert!(explain(said).unwrap().text.contains("the header foo.h"));
    }

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
            ("error: linker `cc` not found", "no C compiler"),
            (
                "rustc 1.70.0 is not supported by the following package:",
                "too old",
            ),
            ("error: unable to find library -lpq\n", "the library pq"),
            (
                "/usr/bin/ld: cannot find -lpq: No such file",
                "the library pq",
            ),
        ];
        for (said, expected) in cases {
            let text = explain(said).unwrap().text;
            assert!(text.contains(expected), "{text}");
        }
        assert_eq!(explain("error[E0308]: mismatched types"), None);
    }
}
