//! Moves the agent into its user and mount namespaces.
//!
//! The agent always has uid 0. In a virtual machine it is real root. Otherwise
//! a user namespace maps the user's own uid to 0; this needs neither
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

/// The kind of root that the agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Privilege {
    /// Root of the machine: all ids exist.
    Root,
    /// Root of a user namespace: only the user's own id is certain to exist.
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

/// The agent's namespaces could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// The caller has already started a thread, which is a bug.
    #[error("namespaces must be entered before any thread starts")]
    Threads(#[source] io::Error),
    /// The machine refuses a user namespace.
    #[error("this machine does not let uid {uid} use a user namespace: {cause}")]
    UserNamespace {
        /// Id of the user.
        uid: u32,
        /// Why the machine refuses.
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
    /// `/proc` has no id map of this process.
    #[error("the id map of this process cannot be read")]
    IdMap(#[source] io::Error),
}

impl NamespaceError {
    /// The hint for the user, if there is one.
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

/// Moves this process into the agent's namespaces. Real root needs no user
/// namespace. All others, including root of a user namespace, get a new one.
///
/// Call it before any thread starts.
pub fn enter() -> Result<Privilege, NamespaceError> {
    syscall::assert_single_thread().map_err(NamespaceError::Threads)?;
    share::limit();
    // Reads the limits first: afterwards the cgroups above the agent's are not
    // visible.
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

/// Whether this process may mount. Root of an ordinary container may not.
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
    // AppArmor permits the namespace, and removes its capabilities. So this may
    // fail.
    make_mounts_private().map_err(refused)
}

/// Stops the propagation of mounts to and from other namespaces.
pub(crate) fn make_mounts_private() -> io::Result<()> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    Ok(mount_change("/", private)?)
}
