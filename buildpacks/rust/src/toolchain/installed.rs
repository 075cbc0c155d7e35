//! Finds a toolchain in the builder image.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Request, Toolchain};

/// The properties that `rustc` reports.
#[derive(Debug)]
pub(super) struct Installed {
    bin: PathBuf,
    sysroot: PathBuf,
    pub(super) release: String,
    host: String,
}

impl Installed {
    /// Finds the toolchain on `PATH`. If it is rustup's, finds the one that
    /// rustup selects for the project.
    pub(super) fn find(app: &Path) -> Option<Self> {
        // Runs both at the same time, because a compiler starts slowly.
        let (version, sysroot) = (ask(app, &["-vV"]), ask(app, &["--print", "sysroot"]));
        let (said, sysroot) = (answer(version), answer(sysroot));
        let (said, sysroot) = (said?, PathBuf::from(sysroot?.trim()));
        let bin = sysroot.join("bin");
        if !bin.join("cargo").is_file() || !bin.join("rustc").is_file() {
            return None;
        }
        Some(Self {
            bin,
            sysroot,
            release: field(&said, "release")?.to_owned(),
            host: field(&said, "host")?.to_owned(),
        })
    }

    /// Whether it can build the project.
    pub(super) fn satisfies(&self, request: &Request) -> bool {
        let version = numbers(&self.release);
        let new_enough = |least: &String| numbers(least) <= version;
        self.is_channel(request)
            && request.at_least.as_ref().is_none_or(new_enough)
            && request.targets.iter().all(|target| self.has_target(target))
            && request
                .components
                .iter()
                .all(|name| is_for_shells(name) || self.has(name))
    }

    /// The components that the project names for its shell and that this
    /// toolchain lacks.
    pub(super) fn lacks<'a>(&self, request: &'a Request) -> Vec<&'a str> {
        let components = request.components.iter().map(String::as_str);
        let lacking = components.filter(|name| is_for_shells(name) && !self.has(name));
        lacking.collect()
    }

    fn has(&self, component: &str) -> bool {
        let program = |name: &str| self.bin.join(name).is_file();
        match component.trim_end_matches("-preview") {
            "clippy" => program("cargo-clippy"),
            "rustfmt" => program("rustfmt"),
            "rust-analyzer" => program("rust-analyzer"),
            "rust-src" => self.has_library("src/rust/library"),
            "llvm-tools" => self.has_library(&format!("{}/bin/llvm-profdata", self.host)),
            name => matches!(name, "rustc" | "cargo" | "rust-std") || name.ends_with("-docs"),
        }
    }

    fn is_channel(&self, request: &Request) -> bool {
        let Some(channel) = &request.channel else {
            return true;
        };
        // The date of an installed beta or nightly toolchain is not certain.
        if channel.date.is_some() {
            return false;
        }
        let (version, suffix) = self.release.split_once('-').unwrap_or((&self.release, ""));
        match &*channel.name {
            "stable" => suffix.is_empty(),
            name @ ("beta" | "nightly") => suffix.starts_with(name),
            wanted => {
                let patch = version.strip_prefix(wanted);
                suffix.is_empty()
                    && patch.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
        }
    }

    fn has_target(&self, target: &str) -> bool {
        target == self.host || self.has_library(&format!("{target}/lib"))
    }

    fn has_library(&self, path: &str) -> bool {
        self.sysroot.join("lib/rustlib").join(path).exists()
    }
}

/// Whether only shells, and no builds, need a component.
fn is_for_shells(component: &str) -> bool {
    let name = component.trim_end_matches("-preview");
    matches!(name, "clippy" | "rustfmt" | "rust-analyzer")
}

impl From<Installed> for Toolchain {
    fn from(installed: Installed) -> Self {
        Self {
            bin: installed.bin,
            release: installed.release,
        }
    }
}

fn ask(app: &Path, arguments: &[&str]) -> Option<Child> {
    let mut command = Command::new("rustc");
    // Stops rustup from fetching a toolchain. This buildpack fetches it into
    // the cache, with a verification.
    command
        .current_dir(app)
        .args(arguments)
        .env("RUSTUP_AUTO_INSTALL", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command.spawn().ok()
}

fn answer(asked: Option<Child>) -> Option<String> {
    let output = asked?.wait_with_output().ok()?;
    let said = output.status.success().then_some(output.stdout)?;
    String::from_utf8(said).ok()
}

/// The value of a line `NAME: VALUE`.
pub(super) fn field<'a>(said: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.strip_prefix(name)?.strip_prefix(": ");
    said.lines().find_map(value)
}

/// The numbers of a version, for comparison.
fn numbers(version: &str) -> Vec<u64> {
    let numbers = version.split('-').next().unwrap_or_default().split('.');
    numbers.map(|number| number.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Channel;
    use super::*;

    fn satisfies(release: &str, channel: &str, at_least: Option<&str>) -> bool {
        let installed = Installed {
            bin: PathBuf::new(),
            sysroot: PathBuf::new(),
            release: release.to_owned(),
            host: "x86_64-unknown-linux-gnu".to_owned(),
        };
        let channel = (!channel.is_empty()).then(|| Channel {
            name: channel.to_owned(),
            date: None,
        });
        installed.satisfies(&Request {
            channel,
            at_least: at_least.map(str::to_owned),
            ..Request::default()
        })
    }

    #[test]
    fn an_installed_toolchain_is_compared_with_the_wish() {
        assert!(satisfies("1.95.0", "", None));
        assert!(satisfies("1.95.0", "stable", Some("1.80")));
        assert!(satisfies("1.95.0", "1.95", Some("1.95.0")));
        assert!(satisfies("1.95.0", "1.95.0", None));
        assert!(!satisfies("1.95.0", "1.9", None));
        assert!(!satisfies("1.95.0", "stable", Some("1.96")));
        assert!(!satisfies("1.97.0-nightly", "stable", None));
        assert!(satisfies("1.97.0-nightly", "nightly", None));
        assert!(!satisfies("1.95.0", "nightly", None));
    }

    #[test]
    fn what_only_a_shell_needs_does_not_decide_what_builds() {
        let installed = Installed {
            bin: PathBuf::new(),
            sysroot: PathBuf::new(),
            release: "1.95.0".to_owned(),
            host: "x86_64-unknown-linux-gnu".to_owned(),
        };
        let request = |names: &[&str]| Request {
            components: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Request::default()
        };
        let development = request(&["clippy", "rust-docs"]);
        assert!(installed.satisfies(&development));
        assert_eq!(installed.lacks(&development), ["clippy"]);
        assert!(!installed.satisfies(&request(&["rust-src"])));
    }
}
