//! Describes a container that is to start, and refuses descriptions that cannot
//! work or are not safe.

use std::collections::HashSet;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use protocol::request::Stdio;
use serde::{Deserialize, Serialize};

/// The most layers that overlayfs accepts.
const MAX_LOWERS: usize = 500;
/// The most bytes of a host name (`HOST_NAME_MAX`).
const MAX_HOSTNAME: usize = 64;
/// Mount points that belong to the container itself.
const OWN_MOUNTS: [&str; 3] = ["/dev", "/proc", "/sys"];

/// A container that is to start. All paths in the container are absolute and
/// without `..`; all paths of the agent are UTF-8.
#[derive(Debug, Clone)]
pub struct ContainerSpec {
    /// Extracted layers of the root file system, the topmost first: 1 to 500.
    pub lowers: Vec<PathBuf>,
    /// Where changes of the root file system go.
    pub upper: Upper,
    /// Directories of the root file system that are made where they are missing.
    pub directories: Vec<PathBuf>,
    /// Mounted in this order over the root file system.
    pub mounts: Vec<Mount>,
    /// The program, found by the container's `PATH`, and its arguments.
    pub args: Vec<String>,
    /// The whole environment: names and values. `HOSTNAME` is added if it is
    /// missing.
    pub env: Vec<(String, String)>,
    /// Where the program starts, as an absolute path in the container.
    pub cwd: PathBuf,
    /// The user of the program.
    pub user: User,
    /// The container's host name: at most 64 letters, digits, `-`, `.`, `_`.
    pub hostname: String,
    /// What the program can reach.
    pub network: Network,
    /// How the program is attached.
    pub stdio: Stdio,
    /// Names and addresses for the container's `/etc/hosts`.
    pub extra_hosts: Vec<(String, IpAddr)>,
}

/// Where changes of the root file system go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Upper {
    /// Into a directory that outlives the container.
    Directory {
        /// Gets the changes.
        upper: PathBuf,
        /// An empty directory on the same file system.
        work: PathBuf,
    },
    /// Nowhere: they end with the container.
    Memory,
}

/// A file or directory that is put over the root file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path in the container; created when it is missing.
    pub target: PathBuf,
    /// Whether it can be written.
    pub access: Access,
    /// What is there.
    pub kind: MountKind,
}

/// Whether a mount can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Nobody in the container can write.
    ReadOnly,
    /// File permissions decide.
    ReadWrite,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountKind {
    /// This file or directory.
    Bind {
        /// Where the agent finds it.
        source: PathBuf,
    },
    /// This folder of a user's, which the program owns in the container:
    /// what it makes there belongs to the folder's owner.
    Owned {
        /// Where the agent finds it.
        source: PathBuf,
    },
    /// This directory, with changes kept apart.
    Overlay {
        /// What is shown.
        lower: PathBuf,
        /// Gets the changes.
        upper: PathBuf,
        /// An empty directory on the same file system as `upper`.
        work: PathBuf,
    },
    /// An empty directory in memory.
    Tmpfs,
}

/// Who a program is in its container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups; without real root there are none.
    pub groups: Vec<u32>,
}

/// What a container can reach. In a message to the runner, whose descriptors
/// travel beside it, `N` is `()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network<N = Namespace> {
    /// The machine's network.
    Host,
    /// Only a loopback device of the container's own.
    None,
    /// A network namespace that exists already: see
    /// [`LoopbackNetwork`](crate::container::network::LoopbackNetwork) and
    /// [`PrivateNetwork`](crate::container::pasta::PrivateNetwork).
    Namespace(N),
}

/// A network namespace for a container.
#[derive(Debug, Clone)]
pub struct Namespace {
    /// The namespace lasts as long as anything holds this.
    pub descriptor: Arc<OwnedFd>,
    /// The name server of the namespace, instead of the machine's.
    pub name_server: Option<IpAddr>,
}

/// Why a container is refused before anything is started.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SpecError {
    /// No root file system.
    #[error("the container has no layers")]
    NoLayers,
    /// More than overlayfs can stack.
    #[error("the container has {0} layers; at most {MAX_LOWERS} can be stacked")]
    TooManyLayers(usize),
    /// Nothing to run.
    #[error("the container has no program to run")]
    NoProgram,
    /// An argument that no program can get.
    #[error("argument {0:?} holds a NUL byte")]
    Argument(String),
    /// A variable that no program can get.
    #[error("environment variable {0:?} is empty, or holds `=` or a NUL byte")]
    VariableName(String),
    /// A value that no program can get.
    #[error("the value of environment variable {0} holds a NUL byte")]
    VariableValue(String),
    /// A path in the container that is not absolute and plain.
    #[error("{} is not an absolute path without `..`", .0.display())]
    Path(PathBuf),
    /// A mount that would hide what the container itself needs.
    #[error("nothing can be mounted at {}", .0.display())]
    MountTarget(PathBuf),
    /// Not a host name.
    #[error("{0:?} is not a host name")]
    Hostname(String),
    /// A path that the agent cannot hand on.
    #[error("{} is not UTF-8", .0.display())]
    Encoding(PathBuf),
}

impl ContainerSpec {
    /// Refuses a container that cannot work or would not be safe; the first
    /// reason found is the error.
    pub fn validate(&self) -> Result<(), SpecError> {
        match self.lowers.len() {
            0 => return Err(SpecError::NoLayers),
            1..=MAX_LOWERS => {}
            many => return Err(SpecError::TooManyLayers(many)),
        }
        validate_args(&self.args)?;
        validate_env(&self.env)?;
        validate_path(&self.cwd)?;
        for directory in &self.directories {
            validate_path(directory)?;
        }
        validate_hostname(&self.hostname)?;
        for (name, _) in &self.extra_hosts {
            validate_host(name)?;
        }
        for mount in &self.mounts {
            validate_target(&mount.target)?;
        }
        self.host_paths().try_for_each(validate_encoding)
    }

    /// The agent's own paths.
    fn host_paths(&self) -> impl Iterator<Item = &Path> {
        let upper = match &self.upper {
            Upper::Directory { upper, work } => vec![upper, work],
            Upper::Memory => Vec::new(),
        };
        let mounts = self.mounts.iter().flat_map(|mount| match &mount.kind {
            MountKind::Bind { source } | MountKind::Owned { source } => vec![source],
            MountKind::Overlay { lower, upper, work } => vec![lower, upper, work],
            MountKind::Tmpfs => Vec::new(),
        });
        let paths = self.lowers.iter().chain(upper).chain(mounts);
        paths.map(PathBuf::as_path)
    }
}

fn validate_args(args: &[String]) -> Result<(), SpecError> {
    if args.first().is_none_or(String::is_empty) {
        return Err(SpecError::NoProgram);
    }
    match args.iter().find(|argument| argument.contains('\0')) {
        Some(argument) => Err(SpecError::Argument(argument.clone())),
        None => Ok(()),
    }
}

fn validate_env(env: &[(String, String)]) -> Result<(), SpecError> {
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(SpecError::VariableName(name.clone()));
        }
        if value.contains('\0') {
            return Err(SpecError::VariableValue(name.clone()));
        }
    }
    Ok(())
}

fn validate_path(path: &Path) -> Result<(), SpecError> {
    let mut components = path.components();
    let absolute = components.next() == Some(Component::RootDir);
    let plain = components.all(|component| matches!(component, Component::Normal(_)));
    if !absolute || !plain || path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(SpecError::Path(path.to_owned()));
    }
    validate_encoding(path)
}

fn validate_target(target: &Path) -> Result<(), SpecError> {
    validate_path(target)?;
    let own = OWN_MOUNTS.iter().any(|own| target.starts_with(own));
    if own || target == Path::new("/") {
        return Err(SpecError::MountTarget(target.to_owned()));
    }
    Ok(())
}

fn validate_encoding(path: &Path) -> Result<(), SpecError> {
    match path.to_str() {
        Some(_) => Ok(()),
        None => Err(SpecError::Encoding(path.to_owned())),
    }
}

fn validate_hostname(name: &str) -> Result<(), SpecError> {
    if name.len() > MAX_HOSTNAME {
        return Err(SpecError::Hostname(name.to_owned()));
    }
    validate_host(name)
}

/// What may stand in a line of `/etc/hosts`.
fn validate_host(name: &str) -> Result<(), SpecError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(SpecError::Hostname(name.to_owned()));
    }
    Ok(())
}

impl User {
    /// The supplementary groups, each once, without the primary one.
    pub(super) fn other_groups(&self) -> Vec<u32> {
        let mut seen = HashSet::from([self.gid]);
        let groups = self.groups.iter().copied();
        groups.filter(|group| seen.insert(*group)).collect()
    }
}

#[cfg(test)]
mod tests;
