//! Provides the toolchain of a project: that of the image if it satisfies the
//! project, else one from a distribution server.

mod dist;
mod install;
mod installed;
mod request;

use std::path::{Path, PathBuf};

use crate::cache::Cache;
use crate::output;
use crate::target::list;
use dist::Server;
use installed::Installed;
pub(crate) use request::{Channel, Request, Wishes};

/// An installed toolchain.
#[derive(Debug)]
pub(crate) struct Toolchain {
    /// The directory with `cargo` and `rustc`.
    pub(crate) bin: PathBuf,
    /// The version that `rustc` reports.
    pub(crate) release: String,
}

impl Toolchain {
    /// The directories of its shared libraries, such as the standard library.
    pub(crate) fn libraries(&self) -> Vec<PathBuf> {
        let lib = self.bin.with_file_name("lib");
        let of_targets = list(&lib.join("rustlib")).into_iter();
        let of_targets = of_targets.map(|target| target.join("lib"));
        of_targets.chain([lib]).collect()
    }
}

/// No toolchain could be provided.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolchainError {
    #[error("{file} is malformed: {reason}")]
    File { file: &'static str, reason: String },
    #[error("{file} names a toolchain by its path {path:?}, which is not in the image")]
    Path { file: &'static str, path: String },
    #[error("{0:?} is no channel of Rust")]
    Channel(String),
    #[error("the channel {channel} is not known at {server}")]
    UnknownChannel { channel: String, server: String },
    #[error("the distribution server {server} cannot be asked")]
    Unreachable {
        server: String,
        #[source]
        source: crate::http::HttpError,
    },
    #[error("{url} is not what a distribution server has")]
    Manifest { url: String, reason: String },
    #[error("Rust {version} has no {component} for {target}")]
    Missing {
        component: String,
        target: String,
        version: String,
    },
    #[error("{url} has the SHA-256 {actual}, not {expected} as its manifest says")]
    Mismatch {
        url: String,
        expected: String,
        actual: String,
    },
    #[error("{url} cannot be unpacked")]
    Unpack {
        url: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the toolchain cannot be written")]
    Write(#[source] std::io::Error),
    #[error("Rust {version} does not run in this image: {said}")]
    DoesNotRun { version: String, said: String },
}

impl ToolchainError {
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::File { .. } | Self::Channel(_) => {
                "a channel is stable, beta, nightly, a version (1.85, 1.85.1) or a dated one (nightly-2026-01-31)"
            }
            Self::Path { .. } => "name a channel, or set BP_RUST_TOOLCHAIN",
            Self::UnknownChannel { .. } => {
                "check the channel in rust-toolchain.toml, or set BP_RUST_TOOLCHAIN to one that exists"
            }
            Self::Unreachable { .. } => {
                "the build needs the network, a proxy, RUSTUP_DIST_SERVER set to a mirror, or a builder with a toolchain that satisfies the project"
            }
            Self::Missing { .. } => "remove it from rust-toolchain.toml, or choose another channel",
            Self::Mismatch { .. } => {
                "the download was damaged or the server is not to be trusted: nothing of it was used"
            }
            Self::DoesNotRun { .. } => {
                "the image's C library is too old for this toolchain: use a newer builder, or an older channel"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Provides the toolchain for a project.
pub(crate) fn provide(
    app: &Path,
    wishes: &Wishes<'_>,
    cache: &Cache,
) -> Result<Toolchain, ToolchainError> {
    let request = Request::of(app, wishes)?;
    for key in &request.unknown {
        output::warning(&format!(
            "{key} says nothing in [toolchain] of rust-toolchain.toml"
        ));
    }
    let fetch = || install::provide(&Server::from_env(), &request, &cache.path("toolchains"));
    let installed = Installed::find(app).filter(|it| it.satisfies(&request));
    let Some(installed) = installed else {
        return fetch();
    };
    let lacking = installed.lacks(&request).join(", ");
    if lacking.is_empty() {
        return Ok(of_builder(installed));
    }
    match fetch() {
        Err(error @ ToolchainError::Unreachable { .. }) => {
            output::warning(&format!(
                "the builder's Rust has no {lacking}, and {error}: a shell will lack that"
            ));
            Ok(of_builder(installed))
        }
        fetched => fetched,
    }
}

fn of_builder(installed: Installed) -> Toolchain {
    output::step(&format!("Rust {} of the builder", installed.release));
    installed.into()
}

/// Runs a `rustc`, to check that this machine can execute it.
fn release(rustc: &Path, version: &str) -> Result<String, ToolchainError> {
    let does_not_run = |said: String| ToolchainError::DoesNotRun {
        version: version.to_owned(),
        said,
    };
    let output = std::process::Command::new(rustc).arg("-vV").output();
    let output = output.map_err(|error| does_not_run(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout);
    installed::field(&stdout, "release")
        .filter(|_| output.status.success())
        .map(str::to_owned)
        .ok_or_else(|| does_not_run(said.lines().next().unwrap_or("it says nothing").to_owned()))
}
