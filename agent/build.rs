//! Compiles the buildpacks that locald brings along: programs of their own,
//! static, so that they run in any builder image.
//!
//! `LOCALD_RUST_BUILDPACK` names a program that was compiled before, for those
//! who package locald or compile it for another architecture.

use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

const PACKAGE: &str = "locald-rust-buildpack";
const GIVEN: &str = "LOCALD_RUST_BUILDPACK";

fn main() {
    println!("cargo::rerun-if-env-changed={GIVEN}");
    if variable("CARGO_CFG_TARGET_OS") != "linux" {
        return;
    }
    let program = match std::env::var_os(GIVEN) {
        Some(given) => given.into(),
        None => compile(),
    };
    println!("cargo::rerun-if-changed={}", program.display());
    println!("cargo::rustc-env={GIVEN}_PATH={}", program.display());
    println!("cargo::rustc-env={GIVEN}_DIGEST={}", digest(&program));
}

/// The SHA-256 of what the buildpack is, so that no build of an application has
/// to hash some megabytes to know.
fn digest(program: &Path) -> String {
    let descriptor =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../buildpacks/rust/buildpack.toml");
    let mut hasher = Sha256::new();
    for file in [&descriptor, program] {
        let content = std::fs::read(file);
        let content = content.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        hasher.update(content);
    }
    let bytes = hasher.finalize();
    let digits = |digits: String, byte: &u8| digits + &format!("{byte:02x}");
    bytes.iter().fold(String::new(), digits)
}

/// Compiles the Rust buildpack, by the Cargo and for the target of this build.
fn compile() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = variable("TARGET");
    for path in ["buildpacks/rust", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }
    // One directory for all profiles of the workspace, beside theirs:
    // OUT_DIR is TARGET_DIR/PROFILE/build/PACKAGE/out.
    let out = PathBuf::from(variable("OUT_DIR"));
    let beside = out.ancestors().find(|path| path.ends_with("build"));
    let target_dir = beside
        .and_then(Path::parent)
        .and_then(Path::parent)
        .unwrap_or(&out)
        .join("buildpacks");
    let mut cargo = Command::new(variable("CARGO"));
    cargo
        .current_dir(&workspace)
        .args([
            "build",
            "--quiet",
            "--profile",
            "buildpack",
            "--package",
            PACKAGE,
        ])
        .args(["--target", &target])
        .arg("--target-dir")
        .arg(&target_dir)
        .env("RUSTFLAGS", "-C target-feature=+crt-static");
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_this_build) {
            cargo.env_remove(name);
        }
    }
    let status = cargo.status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "the Rust buildpack cannot be compiled ({status:?}); {GIVEN}=PATH names one that was compiled before"
    );
    target_dir.join(target).join("buildpack").join(PACKAGE)
}

/// Whether a variable belongs to the build of locald itself, to its profile or
/// to its lints. Build scripts of dependencies ask for some of them, and what
/// is compiled already would be compiled again when their values change.
fn is_of_this_build(name: &str) -> bool {
    const PREFIXES: [&str; 5] = [
        "CARGO_CFG_",
        "CARGO_FEATURE_",
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
        "DEP_",
    ];
    const NAMES: [&str; 10] = [
        "CARGO_BUILD_TARGET_DIR",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "DEBUG",
        "HOST",
        "OPT_LEVEL",
        "OUT_DIR",
        "PROFILE",
        "RUSTC_WORKSPACE_WRAPPER",
        "TARGET",
    ];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
