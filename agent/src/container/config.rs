//! Converts a container's specification to the configuration of its runner.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::request::Stdio;
use rustix::fs::MemfdFlags;

use super::error::ContainerError;
use super::message::{self, PayloadProgram, RunnerConfig, TerminalSize};
use super::spec::{ContainerSpec, Network};
use super::stdio::Pipes;
use super::{files, spec::User};
use crate::kernel::limits;
use crate::kernel::namespace::Privilege;
use crate::kernel::namespace::cgroup::Limits;

const HOSTNAME: &str = "HOSTNAME";

/// A configuration and its descriptors.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) config: RunnerConfig,
    pub(super) pipes: Option<Pipes>,
    namespace: Option<Arc<OwnedFd>>,
}

impl Prepared {
    pub(super) fn new(
        id: String,
        spec: &ContainerSpec,
        state: &Path,
    ) -> Result<Self, ContainerError> {
        let privilege = Privilege::of_this_process().map_err(ContainerError::Runner)?;
        let terminal = match spec.stdio {
            Stdio::Pipes => None,
            Stdio::Terminal { rows, columns } => Some(TerminalSize { rows, columns }),
        };
        let pipes = match terminal {
            None => Some(Pipes::new().map_err(ContainerError::Streams)?),
            Some(_) => None,
        };
        let (network, namespace) = match &spec.network {
            Network::Host => (Network::Host, None),
            Network::None => (Network::None, None),
            Network::Namespace(namespace) => (
                Network::Namespace(()),
                Some(Arc::clone(&namespace.descriptor)),
            ),
        };
        let config = RunnerConfig {
            id,
            agent: rustix::process::getpid().as_raw_pid(),
            privilege,
            scratch: make_scratch(state)?,
            lowers: spec.lowers.clone(),
            upper: spec.upper.clone(),
            directories: spec.directories.clone(),
            mounts: spec.mounts.clone(),
            files: files::provided(spec),
            hostname: spec.hostname.clone(),
            network,
            processes: limits::processes(),
            limits: Limits::of_agent().clone(),
            program: PayloadProgram {
                args: spec.args.clone(),
                env: env(spec),
                cwd: spec.cwd.clone(),
                user: available(&spec.user, privilege),
            },
            terminal,
        };
        Ok(Self {
            config,
            pipes,
            namespace,
        })
    }

    /// Sends the configuration, the first message to the runner.
    pub(super) fn send(&self, control: &OwnedFd) -> io::Result<()> {
        let mut file = File::from(rustix::fs::memfd_create("config", MemfdFlags::CLOEXEC)?);
        file.write_all(&serde_json::to_vec(&self.config)?)?;
        let mut descriptors: Vec<BorrowedFd<'_>> = vec![file.as_fd()];
        if let Some(pipes) = &self.pipes {
            descriptors.extend(pipes.theirs.iter().map(AsFd::as_fd));
        }
        if let Some(namespace) = &self.namespace {
            descriptors.push(namespace.as_fd());
        }
        message::send(control, &(), &descriptors)
    }
}

/// The environment. Adds the host name as a variable, as Docker does.
fn env(spec: &ContainerSpec) -> Vec<(String, String)> {
    let mut env = spec.env.clone();
    if env.iter().all(|(name, _)| name != HOSTNAME) {
        env.push((HOSTNAME.to_owned(), spec.hostname.clone()));
    }
    env
}

/// The user without groups if the user namespace maps only a single id.
fn available(user: &User, privilege: Privilege) -> User {
    User {
        uid: user.uid,
        gid: user.gid,
        groups: match privilege {
            Privilege::Root => user.other_groups(),
            Privilege::Rootless => Vec::new(),
        },
    }
}

/// Makes the one empty directory over which each runner mounts its own files.
fn make_scratch(state: &Path) -> Result<PathBuf, ContainerError> {
    let failed = |source| ContainerError::State {
        path: state.to_owned(),
        source,
    };
    let scratch = std::path::absolute(state)
        .map_err(failed)?
        .join("containers");
    fs_err::create_dir_all(&scratch).map_err(failed)?;
    Ok(scratch)
}
