//! Moves the agent into its user and mount namespaces.
//!
//! The agent always is uid 0: real root in a virtual machine; otherwise the
//! user's own uid, mapped to 0 in a user namespace that needs neither
//! subordinate ids nor a setuid helper.

use std::io;

use protocol::{Failure, FailureKind};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{Gid, Uid, getegid, geteuid};
use rustix::thread::{CapabilitySet, UnshareFlags};
use serde::{Deserialize, Serialize};

use crate::kernel::syscall;

mod cause;
pub(crate) mod cgroup;
pub(crate) mod share;

pub use cause::Cause;

/// The id map of the initial user namespace.
const INITIAL_MAP: [&str; 3] = ["0", "0", "4294967295"];

/// Whose root the agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Privilege {
    /// The machine's own root: all ids exist.
    Root,
    /// Root of a user namespace: only one's own id is sure to exist.
    Rootless,
}

impl Privilege {
    /// The privilege of this process.
    pub fn of_this_process() -> io::Result<Self> {
        let map = fs_err::read_to_string("/proc/self/uid_map")?;
        let initial = map.split_whitespace().eq(INITIAL_MAP);
        Ok(if initial && geteuid().is_root() {
            Self::Root
        } else {
            Self::Rootless
        })
    }
}

/// Why the agent's namespaces cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// A bug in the caller.
    #[error("namespaces must be entered before any thread starts")]
    Threads(#[source] io::Error),
    /// The machine refuses a user namespace.
    #[error("this machine does not let uid {uid} use a user namespace: {cause}")]
    UserNamespace {
        /// Who asked.
        uid: u32,
        /// What stands in the way.
        cause: Cause,
        /// The system call's error.
        #[source]
        source: io::Error,
    },
    /// The machine refuses a mount namespace.
    #[error("no private mount namespace can be made")]
    MountNamespace(#[source] io::Error),
    /// Neither a cgroup file system nor an empty one can be mounted.
    #[error("/sys/fs/cgroup cannot be replaced in the private mount namespace")]
    Cgroup(#[source] io::Error),
    /// `/proc` is not as expected.
    #[error("the id map of this process cannot be read")]
    IdMap(#[source] io::Error),
}

impl NamespaceError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UserNamespace { cause, .. } => Some(cause.remedy()),
            Self::MountNamespace(_) => {
                Some("run locald outside of a container, or in one that is privileged".to_owned())
            }
            _ => None,
        }
    }
}

impl From<NamespaceError> for Failure {
    fn from(error: NamespaceError) -> Self {
        let failure = Self::from_error(FailureKind::Machine, &error);
        match error.hint() {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

/// Moves this process into the agent's namespaces: real root needs no user
/// namespace, all others, also the root of one, get one of their own.
///
/// Call it before any thread starts.
pub fn enter() -> Result<Privilege, NamespaceError> {
    syscall::assert_single_thread().map_err(NamespaceError::Threads)?;
    share::limit();
    // Afterwards, the way from the top of the hierarchy cannot be seen.
    cgroup::Limits::of_agent();
    let privilege = Privilege::of_this_process().map_err(NamespaceError::IdMap)?;
    if privilege == Privilege::Root && may_mount() {
        syscall::unshare(UnshareFlags::NEWNS).map_err(NamespaceError::MountNamespace)?;
    } else {
        enter_user_namespace(geteuid(), getegid())?;
    }
    make_mounts_private().map_err(NamespaceError::MountNamespace)?;
    let privilege = Privilege::of_this_process().map_err(NamespaceError::IdMap)?;
    match privilege {
        Privilege::Root => cgroup::hide(),
        Privilege::Rootless => cgroup::show_own(),
    }
    .map_err(NamespaceError::Cgroup)?;
    tracing::debug!(?privilege, "entered the agent's namespaces");
    Ok(privilege)
}

/// Root of an ordinary container may not.
fn may_mount() -> bool {
    rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

fn enter_user_namespace(uid: Uid, gid: Gid) -> Result<(), NamespaceError> {
    let refused = |source: io::Error| NamespaceError::UserNamespace {
        uid: uid.as_raw(),
        cause: Cause::find(&source),
        source,
    };
    let wanted = UnshareFlags::NEWUSER | UnshareFlags::NEWNS | UnshareFlags::NEWCGROUP;
    syscall::unshare(wanted).map_err(refused)?;
    let maps = [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {uid} 1")),
        ("/proc/self/gid_map", format!("0 {gid} 1")),
    ];
    for (file, content) in maps {
        fs_err::write(file, content).map_err(refused)?;
    }
    // AppArmor lets the namespace be made, and takes its capabilities away.
    make_mounts_private().map_err(refused)
}

/// Nothing that is mounted from now on reaches other namespaces, nor back.
pub(crate) fn make_mounts_private() -> io::Result<()> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    Ok(mount_change("/", private)?)
}
