//! Everything that is mounted over a container's root file system, except for
//! what libcontainer mounts.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::error::RunnerError;
use super::idmap;
use super::overlay::Stack;
use super::root::{Kind, NO_DIRECTORY, Root};
use crate::container::message::{Attachment, Plan, ProvidedFile};
use crate::container::spec::{Access, Mount, MountKind};
use crate::namespace::Privilege;
use crate::syscall;

/// Mounts what the plan wants, in its order.
pub(super) fn mount_all(plan: &Plan, root: &Root, scratch: &Path) -> Result<(), RunnerError> {
    if plan.network == Attachment::Host {
        // A new sysfs would need a network namespace of one's own.
        let sys = MountKind::Bind {
            source: "/sys".into(),
        };
        let sys = Mount {
            target: "/sys".into(),
            access: Access::ReadOnly,
            kind: sys,
        };
        mount_one(plan, root, &sys, scratch)?;
    }
    for (number, mount) in plan.mounts.iter().enumerate() {
        mount_one(plan, root, mount, &scratch.join(format!("stack-{number}")))?;
    }
    for file in &plan.files {
        provide(root, file, scratch).map_err(|source| RunnerError::Mount {
            target: file.target.clone(),
            source,
        })?;
    }
    Ok(())
}

fn mount_one(plan: &Plan, root: &Root, mount: &Mount, links: &Path) -> Result<(), RunnerError> {
    let failed = |source| RunnerError::Mount {
        target: mount.target.clone(),
        source,
    };
    match &mount.kind {
        MountKind::Bind { source } => bind(root, source, &mount.target, mount.access, |_| Ok(())),
        MountKind::Owned { source } => {
            bind(root, source, &mount.target, mount.access, |tree| {
                match plan.privilege {
                    // Without real root, the program's id is the user's already.
                    Privilege::Rootless => Ok(()),
                    Privilege::Root => idmap::apply(tree, source, &plan.program.user),
                }
            })
        }
        MountKind::Tmpfs => tmpfs(root, mount),
        MountKind::Overlay { lower, upper, work } => {
            let stack = Stack {
                lowers: &[lower],
                upper,
                work,
            };
            overlay(root, mount, stack, links, plan.privilege)
        }
    }
    .map_err(failed)
}

fn bind(
    root: &Root,
    source: &Path,
    target: &Path,
    access: Access,
    change: impl FnOnce(&OwnedFd) -> io::Result<()>,
) -> io::Result<()> {
    let place = root.ensure(target, Kind::of(source)?)?;
    // Recursive: in a user namespace, what covers a part must not be taken off.
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(NO_DIRECTORY, source, flags)?;
    change(&tree)?;
    syscall::set_mount_attributes(&tree, u64::from(attributes(access).bits()))?;
    attach(&tree, &place)
}

fn tmpfs(root: &Root, mount: &Mount) -> io::Result<()> {
    let place = root.ensure(&mount.target, Kind::Directory)?;
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "mode", "1777")?;
    fsconfig_create(&context)?;
    let made = fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes(mount.access),
    )?;
    attach(&made, &place)
}

fn overlay(
    root: &Root,
    mount: &Mount,
    stack: Stack<'_, &PathBuf>,
    links: &Path,
    privilege: Privilege,
) -> io::Result<()> {
    let place = root.ensure(&mount.target, Kind::Directory)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", place.as_raw_fd()));
    stack.mount(links, &path, privilege)?;
    if mount.access == Access::ReadOnly {
        let mounted = root.ensure(&mount.target, Kind::Directory)?;
        let read_only = attributes(Access::ReadOnly);
        syscall::set_mount_attributes(&mounted, u64::from(read_only.bits()))?;
    }
    Ok(())
}

fn provide(root: &Root, file: &ProvidedFile, scratch: &Path) -> io::Result<()> {
    let source = scratch.join(&file.name);
    fs_err::write(&source, &file.content)?;
    bind(root, &source, &file.target, Access::ReadOnly, |_| Ok(()))
}

fn attach(mount: &OwnedFd, place: &OwnedFd) -> io::Result<()> {
    let by_descriptors =
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(
        mount.as_fd(),
        "",
        place.as_fd(),
        "",
        by_descriptors,
    )?)
}

fn attributes(access: Access) -> MountAttrFlags {
    let inert = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    match access {
        Access::ReadOnly => inert | MountAttrFlags::MOUNT_ATTR_RDONLY,
        Access::ReadWrite => inert,
    }
}
