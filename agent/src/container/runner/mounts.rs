//! Makes all mounts over a container's root file system, except those of
//! libcontainer.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use super::error::RunnerError;
use super::idmap;
use super::overlay::Stack;
use super::root::{Kind, NO_DIRECTORY, Root};
use crate::container::message::{ProvidedFile, RunnerConfig};
use crate::container::spec::Network;
use crate::container::spec::{Access, Mount, MountKind};
use crate::kernel::namespace::Privilege;
use crate::kernel::syscall;

/// Makes the mounts of the configuration in their order, up to the first
/// overlay.
pub(super) fn mount_early(
    config: &RunnerConfig,
    root: &Root,
    scratch: &Path,
) -> Result<(), RunnerError> {
    if config.network == Network::Host {
        // A new sysfs requires a new network namespace.
        let sys = MountKind::Bind {
            source: "/sys".into(),
        };
        let sys = Mount {
            target: "/sys".into(),
            access: Access::ReadOnly,
            kind: sys,
        };
        Detached::make(config, &sys, scratch)?.attach(root)?;
    }
    for mount in config.mounts.iter().take_while(|mount| !is_stack(mount)) {
        Detached::make(config, mount, scratch)?.attach(root)?;
    }
    for file in &config.files {
        provide(root, file, scratch).map_err(|source| RunnerError::Mount {
            target: file.target.clone(),
            source,
        })?;
    }
    Ok(())
}

/// Makes the other mounts in the container's own namespace, before its program
/// starts. Two overlays must not use one upper directory at a time, and a
/// container may be prepared while another one that shares it still runs.
pub(super) fn mount_late(
    config: &RunnerConfig,
    scratch: &Path,
    init: &OwnedFd,
) -> Result<(), RunnerError> {
    let late = config.mounts.iter().skip_while(|mount| !is_stack(mount));
    // Opens the sources first: the container's namespace does not contain them.
    let made: Vec<Detached<'_>> = late
        .enumerate()
        .map(|(number, mount)| {
            let links = scratch.join(format!("stack-{number}"));
            Detached::make(config, mount, &links)
        })
        .collect::<Result<_, _>>()?;
    if made.is_empty() {
        return Ok(());
    }
    let root = enter(init).map_err(RunnerError::EnterContainer)?;
    made.into_iter().try_for_each(|made| made.attach(&root))
}

fn is_stack(mount: &Mount) -> bool {
    matches!(mount.kind, MountKind::Overlay { .. })
}

/// Enters the mount namespace of another process, and opens its root.
fn enter(process: &OwnedFd) -> io::Result<Root> {
    move_into_thread_name_spaces(process.as_fd(), ThreadNameSpaceType::MOUNT)?;
    Root::open(Path::new("/"))
}

/// A mount that is not attached to a path yet.
struct Detached<'a> {
    tree: OwnedFd,
    kind: Kind,
    target: &'a Path,
}

impl<'a> Detached<'a> {
    /// `links` is a new directory for stacks.
    fn make(config: &RunnerConfig, mount: &'a Mount, links: &Path) -> Result<Self, RunnerError> {
        let target = &mount.target;
        let made = match &mount.kind {
            MountKind::Bind { source } => bind(source, mount.access, |_| Ok(())),
            MountKind::Owned { source } => bind(source, mount.access, |tree| {
                match config.privilege {
                    // Without real root, the program's id already maps to the
                    // user's.
                    Privilege::Rootless => Ok(()),
                    Privilege::Root => idmap::apply(tree, source, &config.program.user),
                }
            }),
            MountKind::Tmpfs => tmpfs(mount.access),
            MountKind::Overlay { lower, upper, work } => {
                let stack = Stack {
                    lowers: &[lower],
                    upper,
                    work,
                };
                overlay(stack, links, config.privilege, mount.access)
            }
        };
        let (tree, kind) = made.map_err(failed(target))?;
        Ok(Self { tree, kind, target })
    }

    fn attach(self, root: &Root) -> Result<(), RunnerError> {
        let attach = || attach(&self.tree, &root.ensure(self.target, self.kind)?);
        attach().map_err(failed(self.target))
    }
}

fn failed(target: &Path) -> impl FnOnce(io::Error) -> RunnerError {
    |source| RunnerError::Mount {
        target: target.to_owned(),
        source,
    }
}

fn bind(
    source: &Path,
    access: Access,
    change: impl FnOnce(&OwnedFd) -> io::Result<()>,
) -> io::Result<(OwnedFd, Kind)> {
    // Recursive: in a user namespace, a bind must include the mounts that cover
    // parts of it.
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(NO_DIRECTORY, source, flags)?;
    change(&tree)?;
    syscall::set_mount_attributes(&tree, u64::from(attributes(access).bits()))?;
    Ok((tree, Kind::of(source)?))
}

fn tmpfs(access: Access) -> io::Result<(OwnedFd, Kind)> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "mode", "1777")?;
    fsconfig_create(&context)?;
    let made = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes(access))?;
    Ok((made, Kind::Directory))
}

fn overlay(
    stack: Stack<'_, &PathBuf>,
    links: &Path,
    privilege: Privilege,
    access: Access,
) -> io::Result<(OwnedFd, Kind)> {
    let place = links.with_extension("mounted");
    fs_err::create_dir(&place)?;
    stack.mount(links, &place, privilege)?;
    bind(&place, access, |_| Ok(()))
}

fn provide(root: &Root, file: &ProvidedFile, scratch: &Path) -> io::Result<()> {
    let source = scratch.join(&file.name);
    fs_err::write(&source, &file.content)?;
    let (tree, kind) = bind(&source, Access::ReadOnly, |_| Ok(()))?;
    attach(&tree, &root.ensure(&file.target, kind)?)
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
