//! Specifies a container, and refuses specifications that cannot work or are
//! not safe.

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

/// The specification of a container. All paths in the container are absolute
/// and without `..`; all paths of the agent are UTF-8.
#[derive(Debug, Clone)]
pub struct ContainerSpec {
    /// Extracted layers of the root file system, the topmost first: 1 to 500.
    pub lowers: Vec<PathBuf>,
    /// The place for changes of the root file system.
    pub upper: Upper,
    /// Directories of the root file system to make if they are missing.
    pub directories: Vec<PathBuf>,
    /// Mounts over the root file system, in this order.
    pub mounts: Vec<Mount>,
    /// The program and its arguments. The container's `PATH` applies.
    pub args: Vec<String>,
    /// All environment variables, as names and values. locald adds `HOSTNAME`
    /// if it is missing.
    pub env: Vec<(String, String)>,
    /// The working directory of the program, as an absolute path in the
    /// container.
    pub cwd: PathBuf,
    /// The user of the program.
    pub user: User,
    /// The container's host name: at most 64 letters, digits, `-`, `.`, `_`.
    pub hostname: String,
    /// The network of the program.
    pub network: Network,
    /// The standard streams of the program.
    pub stdio: Stdio,
    /// Names and addresses for the container's `/etc/hosts`.
    pub extra_hosts: Vec<(String, IpAddr)>,
}

/// The place for changes of the root file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Upper {
    /// A directory that outlives the container.
    Directory {
        /// The directory for changes.
        upper: PathBuf,
        /// An empty directory on the same file system.
        work: PathBuf,
    },
    /// Memory. The changes end with the container.
    Memory,
}

/// A file or directory that is mounted over the root file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path in the container. The runner makes it if it is missing.
    pub target: PathBuf,
    /// Whether it can be written.
    pub access: Access,
    /// The content of the mount.
    pub kind: MountKind,
}

/// Whether a mount can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// No process in the container can write.
    ReadOnly,
    /// The permissions of each file decide.
    ReadWrite,
}

/// The content of a mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountKind {
    /// A file or directory of the machine.
    Bind {
        /// Path on the machine.
        source: PathBuf,
    },
    /// A user's folder. The program owns it in the container, and files that
    /// the program makes belong to the folder's owner.
    Owned {
        /// Path on the machine.
        source: PathBuf,
    },
    /// A directory whose changes go to another directory.
    Overlay {
        /// The directory to show.
        lower: PathBuf,
        /// The directory for changes.
        upper: PathBuf,
        /// An empty directory on the file system of `upper`.
        work: PathBuf,
    },
    /// An empty directory in memory.
    Tmpfs,
}

/// The user and groups of a program in its container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups; empty without real root.
    pub groups: Vec<u32>,
}

/// The network of a container. In a message to the runner, `N` is `()`, because
/// the descriptors travel beside the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network<N = Namespace> {
    /// The machine's network.
    Host,
    /// A network namespace with only a loopback device.
    None,
    /// An existing network namespace: see
    /// [`LoopbackNetwork`](crate::container::network::LoopbackNetwork) and
    /// [`PrivateNetwork`](crate::container::pasta::PrivateNetwork).
    Namespace(N),
}

/// A network namespace for a container.
#[derive(Debug, Clone)]
pub struct Namespace {
    /// The namespace exists as long as a clone of this descriptor.
    pub descriptor: Arc<OwnedFd>,
    /// The name server in the namespace; absent if the machine's own applies.
    pub name_server: Option<IpAddr>,
}

/// A specification is not valid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SpecError {
    /// There is no layer.
    #[error("the container has no layers")]
    NoLayers,
    /// There are more layers than overlayfs can stack.
    #[error("the container has {0} layers; at most {MAX_LOWERS} can be stacked")]
    TooManyLayers(usize),
    /// There is no program.
    #[error("the container has no program to run")]
    NoProgram,
    /// An argument contains a NUL byte.
    #[error("argument {0:?} holds a NUL byte")]
    Argument(String),
    /// The name of a variable is not valid.
    #[error("environment variable {0:?} is empty, or holds `=` or a NUL byte")]
    VariableName(String),
    /// The value of a variable contains a NUL byte.
    #[error("the value of environment variable {0} holds a NUL byte")]
    VariableValue(String),
    /// A path in the container is not absolute, or contains `..`.
    #[error("{} is not an absolute path without `..`", .0.display())]
    Path(PathBuf),
    /// A mount would hide files that the container needs.
    #[error("nothing can be mounted at {}", .0.display())]
    MountTarget(PathBuf),
    /// The host name is not valid.
    #[error("{0:?} is not a host name")]
    Hostname(String),
    /// A path on the machine is not UTF-8.
    #[error("{} is not UTF-8", .0.display())]
    Encoding(PathBuf),
}

impl ContainerSpec {
    /// Checks that the container can work and is safe. Returns the first error
    /// that it finds.
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

    /// The paths on the machine.
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

/// Checks that a name can be written into `/etc/hosts`.
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
