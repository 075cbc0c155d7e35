//! Explains messages about missing native libraries and programs.

use super::{Explanation, between, explanation};

/// Debian packages of native libraries, by the crate that links them.
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

/// Programs that builds call: the message if one is missing, its description,
/// and its packages.
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

/// Explains messages about libraries and programs that the builder lacks.
pub(super) fn explain(said: &str) -> Option<Explanation> {
    library(said).or_else(|| program(said))
}

/// A build script of a crate does not find its native library.
fn library(said: &str) -> Option<Explanation> {
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

/// The name of the missing library, header or program in a message.
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

/// The builder lacks a program.
fn program(said: &str) -> Option<Explanation> {
    if let Some((_, what, packages)) = PROGRAMS.iter().find(|(text, ..)| said.contains(text)) {
        return Some(explanation(
            format!("the builder has no {}", what.trim_start_matches("a ")),
            format!("`BP_APT_PACKAGES=\"{packages}\"`, or a builder that has it"),
        ));
    }
    configured(said).or_else(|| {
        let library = unlinked(said)?;
        Some(explanation(
            format!("the linker does not find the library {library} in the builder"),
            "BP_APT_PACKAGES installs Debian packages for the build",
        ))
    })
}

/// The builder lacks a linker or compiler wrapper that `.cargo/config.toml`
/// names.
fn configured(said: &str) -> Option<Explanation> {
    let wrapper = between(said, "could not execute process `", "`");
    if let Some(command) = wrapper.filter(|_| said.contains("(never executed)")) {
        let program = command.split(' ').next().unwrap_or_default();
        return Some(explanation(
            format!(
                "the builder has no {program}, which the project's configuration of Cargo names"
            ),
            format!(
                "`BP_APT_PACKAGES={program}`, or none: -e CARGO_BUILD_RUSTC_WRAPPER= takes the place of \
                 `rustc-wrapper`"
            ),
        ));
    }
    let linker = between(said, "linker `", "` not found")
        .or_else(|| between(said, "invalid linker name in argument '-fuse-ld=", "'"));
    let unnamed = said.contains("collect2: fatal error: cannot find 'ld'");
    let linker = linker.or_else(|| unnamed.then_some("mold or lld"))?;
    Some(explanation(
        format!("the builder has no {linker}, which the project names as its linker"),
        "`BP_APT_PACKAGES` installs it for the build, as \"clang mold\"; or have it in your own \
         configuration of Cargo, not in the project's",
    ))
}

/// The name of a library that the linker does not find.
fn unlinked(said: &str) -> Option<&str> {
    let of_ld = || between(said, "cannot find -l", ":");
    between(said, "unable to find library -l", "\n").or_else(of_ld)
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
    fn missing_programs_and_libraries_are_named() {
        let cases = [
            ("error: linker `cc` not found", "no C compiler"),
            (
                "error: linker `clang` not found",
                "no clang, which the project",
            ),
            (
                "collect2: fatal error: cannot find 'ld'",
                "no mold or lld, which the project",
            ),
            (
                "error: could not execute process `sccache /bin/rustc -vV` (never executed)",
                "no sccache, which the project",
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
    }
}
