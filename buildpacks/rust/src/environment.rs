//! Sets the variables that libcnb requires and that some platforms omit.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Default values. An older platform sets none of these variables, and a base
/// image need not name its distribution. The buildpack does not depend on the
/// values.
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

/// Executes this program again with the missing variables.
pub(crate) fn complete() -> io::Result<()> {
    let missing: Vec<_> = defaults()
        .into_iter()
        .filter(|(name, _)| std::env::var_os(name).is_none())
        .collect();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match &arguments[..] {
        // The name of the program selects its phase, so keep it.
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
