//! The namespaces that the agent lives in, so that it is uid 0 of something
//! and its mounts are its own.

use std::io;

use protocol::{Failure, FailureKind};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::thread::UnshareFlags;

/// Whose uid 0 the agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// The machine's own.
    Root,
    /// That of a user namespace in which the user is 0, and nobody else is.
    Rootless,
}

impl Privilege {
    /// Of this process.
    pub fn current() -> Self {
        let map = fs_err::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let whole = map.split_whitespace().eq(["0", "0", "4294967295"]);
        if whole && rustix::process::geteuid().is_root() {
            Self::Root
        } else {
            Self::Rootless
        }
    }

    /// The extended attribute by which overlayfs marks files.
    pub fn overlay_attribute(self, name: &str) -> String {
        match self {
            Self::Root => format!("trusted.overlay.{name}"),
            Self::Rootless => format!("user.overlay.{name}"),
        }
    }
}

/// The machine does not let this user have the namespaces of a container.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// `unshare` has failed.
    #[error("cannot make a user namespace")]
    Unshare(#[source] io::Error),
    /// A map cannot be written: AppArmor's restriction shows itself here.
    #[error("cannot set up the user namespace: {file}")]
    Map {
        /// Which file of `/proc/self`.
        file: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The mount namespace cannot be used.
    #[error("cannot {0} in a mount namespace of its own")]
    Mount(&'static str, #[source] io::Error),
}

/// Moves this process into namespaces of its own; it must have one thread.
/// An ordinary user becomes uid 0 of a new user namespace.
pub fn enter() -> Result<(), NamespaceError> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let namespaces = UnshareFlags::NEWNS | UnshareFlags::NEWCGROUP;
    if uid.is_root() {
        unshare(namespaces)?;
    } else {
        unshare(namespaces | UnshareFlags::NEWUSER)?;
        write_map("setgroups", "deny")?;
        write_map("uid_map", &format!("0 {} 1", uid.as_raw()))?;
        write_map("gid_map", &format!("0 {} 1", gid.as_raw()))?;
    }
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    rustix::mount::mount_change("/", private)
        .map_err(|errno| NamespaceError::Mount("make mounts private", errno.into()))?;
    hide_cgroups(uid.is_root());
    Ok(())
}

fn unshare(flags: UnshareFlags) -> Result<(), NamespaceError> {
    // SAFETY: the caller has one thread, so no other thread can see file
    // descriptors, working directory or credentials change under it.
    unsafe { rustix::thread::unshare_unsafe(flags) }
        .map_err(|errno| NamespaceError::Unshare(errno.into()))
}

fn write_map(file: &'static str, text: &str) -> Result<(), NamespaceError> {
    fs_err::write(format!("/proc/self/{file}"), text)
        .map_err(|source| NamespaceError::Map { file, source })
}

/// libcontainer cannot be told to leave cgroups alone. An empty directory (as
/// root), or a hierarchy in which nothing can be made (as an ordinary user),
/// keeps it from moving containers, which would cost 10 ms each. Where neither
/// works the container only starts more slowly.
fn hide_cgroups(root: bool) {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let result = if root {
        let _ = rustix::mount::unmount("/sys/fs/cgroup", UnmountFlags::DETACH);
        rustix::mount::mount("tmpfs", "/sys/fs/cgroup", "tmpfs", flags, c"size=4k")
    } else {
        rustix::mount::mount("cgroup2", "/sys/fs/cgroup", "cgroup2", flags, None)
    };
    if let Err(errno) = result {
        tracing::debug!(%errno, "cgroups stay as they are");
    }
}

/// What switches user namespaces off here, and the command that mends it.
fn hint() -> String {
    let read = |path: &str| fs_err::read_to_string(path).unwrap_or_default();
    let is = |path: &str, value: &str| read(path).trim() == value;
    if is(
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
    ) {
        "AppArmor restricts user namespaces: `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or give locald a profile with `userns,` (see `locald doctor`)".to_owned()
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "user namespaces are switched off: `sudo sysctl kernel.unprivileged_userns_clone=1`"
            .to_owned()
    } else if is("/proc/sys/user/max_user_namespaces", "0") {
        "user namespaces are limited to 0: `sudo sysctl user.max_user_namespaces=15000`".to_owned()
    } else {
        "`locald doctor` shows what this machine lacks".to_owned()
    }
}

impl From<NamespaceError> for Failure {
    fn from(error: NamespaceError) -> Self {
        Self::from_error(FailureKind::Machine, &error).with_hint(hint())
    }
}
