//! Provides `/sys/fs/cgroup` for the agent and for containers.
//!
//! libcontainer cannot be configured to use no cgroup. It accepts an empty
//! legacy hierarchy, and a unified one in which it may create nothing. In both
//! cases a container stays in the agent's own cgroup and leaves none behind,
//! however it ends. So the agent's `/sys/fs/cgroup` is one of these.
//!
//! Programs in a container read there how much memory and how many processors
//! they have, and some fail if they cannot. If the agent's own cgroup has
//! limits, they see the kernel's files of that cgroup. Otherwise they see files
//! with the same values. No program can write to them.

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

/// Detaches the machine's hierarchies, without a replacement.
pub(super) fn hide() -> io::Result<()> {
    // The hierarchies of a legacy machine are below a tmpfs and are detached
    // with it. A machine without hierarchies has nothing to detach.
    let _ = unmount(CGROUP, UnmountFlags::DETACH);
    mount_empty()
}

/// Mounts the unified hierarchy from the agent's own cgroup down, read-only.
///
/// A user namespace may not detach an inherited mount, so this covers it.
pub(super) fn show_own() -> io::Result<()> {
    let mounted = unified().and_then(|tree| attach(&tree, Path::new(CGROUP)));
    mounted.or_else(|error| {
        tracing::debug!(%error, "no cgroup2 file system can be mounted");
        mount_empty()
    })
}

/// Fills an empty directory with the files that containers see at [`CGROUP`].
pub(crate) fn provide(limits: &Limits, directory: &Path) -> io::Result<()> {
    match unified() {
        Ok(tree) if tells_limits(&tree) => attach(&tree, directory),
        // The machine may have no such file system, or one without limits.
        Ok(_) | Err(_) => limits.write(directory),
    }
}

/// The unified hierarchy from the agent's own cgroup down, read-only.
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

/// Whether a cgroup has files with limits. The root of the hierarchy has none,
/// and other cgroups have only those of their enabled controllers.
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
