//! What `/sys/fs/cgroup` is in the agent's mount namespace.
//!
//! libcontainer has no switch for "no cgroup". It is happy with an empty
//! legacy hierarchy, and with a unified one in which it may not create
//! anything; either way a container stays in the agent's own cgroup and leaves
//! none behind, however it dies.

use std::io;

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, UnmountFlags,
    fsconfig_create, fsmount, fsopen, mount, move_mount, unmount,
};

pub(crate) const CGROUP: &str = "/sys/fs/cgroup";

/// Detaches the machine's hierarchies and puts nothing in their place.
pub(super) fn hide() -> io::Result<()> {
    // The hierarchies of a legacy machine are below a tmpfs and go with it. A
    // machine without any has nothing to detach.
    let _ = unmount(CGROUP, UnmountFlags::DETACH);
    mount_empty()
}

/// Shows the unified hierarchy from one's own cgroup down, read-only.
///
/// A user namespace may not detach what it inherited; it must be covered.
pub(super) fn show_own() -> io::Result<()> {
    mount_unified().or_else(|error| {
        tracing::debug!(%error, "no cgroup2 file system can be mounted");
        mount_empty()
    })
}

fn mount_unified() -> io::Result<()> {
    let context = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let unified = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    let from_descriptor = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    Ok(move_mount(
        &unified,
        "",
        rustix::fs::CWD,
        CGROUP,
        from_descriptor,
    )?)
}

fn mount_empty() -> io::Result<()> {
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount("tmpfs", CGROUP, "tmpfs", flags, Some(c"size=4k"))?)
}
