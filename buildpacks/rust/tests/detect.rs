//! The program as a lifecycle calls it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// The exit code of `detect` for a folder with files.
fn detect(files: &[&str], variables: &[(&str, &str)]) -> Option<i32> {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for name in ["app", "platform", "buildpack"] {
        fs_err::create_dir(path(name)).unwrap();
    }
    for file in files {
        fs_err::write(path("app").join(file), "").unwrap();
    }
    let descriptor = Path::new(env!("CARGO_MANIFEST_DIR")).join("buildpack.toml");
    fs_err::copy(descriptor, path("buildpack/buildpack.toml")).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_locald-rust-buildpack"))
        .arg0("/buildpack/bin/detect")
        .args([path("platform"), path("plan.toml")])
        .current_dir(path("app"))
        .env_clear()
        .env("CNB_BUILDPACK_DIR", path("buildpack"))
        .envs(variables.iter().copied())
        .status();
    status.unwrap().code()
}

#[test]
fn a_cargo_project_is_detected_whatever_is_said_of_the_base() {
    let target = [
        ("CNB_TARGET_OS", "linux"),
        ("CNB_TARGET_ARCH", "amd64"),
        ("CNB_TARGET_DISTRO_NAME", "debian"),
        ("CNB_TARGET_DISTRO_VERSION", "12"),
    ];
    // All, no distribution, and what lifecycles said before Platform API 0.12.
    for known in [4, 2, 0] {
        let said = &target[..known];
        assert_eq!(detect(&["Cargo.toml"], said), Some(0), "{said:?}");
        assert_eq!(detect(&["README"], said), Some(100), "{said:?}");
    }
}
