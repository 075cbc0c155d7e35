//! Provides `/sys/fs/cgroup` for the agent and for containers.
//!
//! libcontainer has no switch for "no cgroup". It accepts an empty legacy
//! hierarchy, and a unified one in which it may create nothing. In both cases a
//! container stays in the agent's own cgroup and leaves none behind, however it
//! ends. So that is what the agent sees there.
//!
//! Programs in a container read there how much memory and how many processors
//! they have, and some fail if they cannot. They see the kernel's files of the
//! agent's own cgroup if these hold limits, and otherwise files with the same
//! values. No program can write to them.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, statat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, UnmountFlags,
    fsconfig_create, fsmount, fsopen, mount, move_mount, unmount,
};

mod limits;

pub(crate) use limits::Limits;

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
    let mounted = unified().and_then(|tree| attach(&tree, Path::new(CGROUP)));
    mounted.or_else(|error| {
        tracing::debug!(%error, "no cgroup2 file system can be mounted");
        mount_empty()
    })
}

/// Puts what containers see at [`CGROUP`] into an empty directory.
pub(crate) fn provide(limits: &Limits, directory: &Path) -> io::Result<()> {
    match unified() {
        Ok(tree) if tells_limits(&tree) => attach(&tree, directory),
        // A machine may have no such file system.
        Ok(_) | Err(_) => limits.write(directory),
    }
}

/// The unified hierarchy from one's own cgroup down, read-only.
fn unified() -> io::Result<OwnedFd> {
    let context = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    Ok(fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes,
    )?)
}

/// The top of the hierarchy has no limits, and a cgroup only those files whose
/// controllers were given to it.
fn tells_limits(cgroup: &OwnedFd) -> bool {
    let has = |name| statat(cgroup, name, AtFlags::empty()).is_ok();
    has("memory.max") && (has("cpu.max") || limits_memory(cgroup))
}

fn limits_memory(cgroup: &OwnedFd) -> bool {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let read = |file| io::read_to_string(std::fs::File::from(file)).ok();
    let file = openat(cgroup, "memory.max", flags, Mode::empty()).ok();
    file.and_then(read).is_some_and(|text| text.trim() != "max")
}

fn attach(tree: &OwnedFd, place: &Path) -> io::Result<()> {
    let from_descriptor = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    Ok(move_mount(tree, "", CWD, place, from_descriptor)?)
}

fn mount_empty() -> io::Result<()> {
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount("tmpfs", CGROUP, "tmpfs", flags, Some(c"size=4k"))?)
}
