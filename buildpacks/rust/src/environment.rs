//! What libcnb wants to know of the platform, and not every platform says.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// An older platform sets none of them, and a base need not say of which
/// distribution it is. Nothing here depends on that.
fn defaults() -> [(&'static str, &'static str); 4] {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    [
        ("CNB_TARGET_OS", "linux"),
        ("CNB_TARGET_ARCH", architecture),
        ("CNB_TARGET_DISTRO_NAME", ""),
        ("CNB_TARGET_DISTRO_VERSION", ""),
    ]
}

/// Starts this program anew with the variables that are missing.
pub(crate) fn complete() -> io::Result<()> {
    let missing: Vec<_> = defaults()
        .into_iter()
        .filter(|(name, _)| std::env::var_os(name).is_none())
        .collect();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match &arguments[..] {
        // The name by which it is called is what it is to do.
        [name, rest @ ..] if !missing.is_empty() => {
            let program = std::env::current_exe()?;
            Err(Command::new(program)
                .arg0(name)
                .args(rest)
                .envs(missing)
                .exec())
        }
        _ => Ok(()),
    }
}
