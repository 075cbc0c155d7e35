//! Makes the files that libcontainer reads and writes, and the container's root
//! file system.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount};

use super::error::RunnerError;
use super::overlay::Stack;
use super::root::{Kind, Root};
use super::{mounts, oci};
use crate::container::message::RunnerConfig;
use crate::container::spec::Upper;
use crate::kernel::namespace::{Privilege, cgroup};

/// The directory from which libcontainer starts a container.
#[derive(Debug)]
pub(super) struct Bundle {
    scratch: PathBuf,
}

impl Bundle {
    /// Makes the mounts of the configuration and the container's description.
    pub(super) fn make(config: &RunnerConfig) -> Result<Self, RunnerError> {
        let bundle = Self {
            scratch: config.scratch.clone(),
        };
        bundle
            .make_scratch()
            .and_then(|()| cgroup::provide(&config.limits, &bundle.cgroup()))
            .map_err(|source| RunnerError::Scratch {
                path: config.scratch.clone(),
                source,
            })?;
        bundle.stack(config)?;
        let root = Root::open(&bundle.rootfs()).map_err(|source| RunnerError::Mount {
            target: "/".into(),
            source,
        })?;
        root.check_reserved()?;
        for path in &config.directories {
            let made = root.ensure(path, Kind::Directory);
            made.map_err(|source| RunnerError::Directory {
                path: path.clone(),
                source,
            })?;
        }
        mounts::mount_early(config, &root, &bundle.scratch)?;
        oci::specification(config, &bundle.rootfs(), &bundle.cgroup())?
            .save(bundle.directory().join("config.json"))?;
        Ok(bundle)
    }

    /// The directory with `config.json`.
    pub(super) fn directory(&self) -> PathBuf {
        self.scratch.join("bundle")
    }

    /// The directory for libcontainer's state.
    pub(super) fn state(&self) -> PathBuf {
        self.scratch.join("state")
    }

    /// The container's root file system.
    pub(super) fn rootfs(&self) -> PathBuf {
        self.scratch.join("root")
    }

    /// The directory that the container sees instead of the machine's cgroups.
    pub(super) fn cgroup(&self) -> PathBuf {
        self.scratch.join("cgroup")
    }

    /// Mounts a tmpfs that only the runner sees.
    fn make_scratch(&self) -> io::Result<()> {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", &self.scratch, "tmpfs", flags, Some(c"mode=0755"))?;
        let own = [self.directory(), self.state(), self.rootfs(), self.cgroup()];
        own.iter().try_for_each(fs_err::create_dir)
    }

    fn stack(&self, config: &RunnerConfig) -> Result<(), RunnerError> {
        let failed = |source| RunnerError::Overlay {
            target: "/".into(),
            layers: config.lowers.len(),
            source,
        };
        let (upper, work) = match &config.upper {
            Upper::Directory { upper, work } => (upper.clone(), work.clone()),
            Upper::Memory => self
                .make_upper(
                    config.lowers.first().map(PathBuf::as_path),
                    config.privilege,
                )
                .map_err(failed)?,
        };
        let stack = Stack {
            lowers: &config.lowers,
            upper: &upper,
            work: &work,
        };
        stack
            .mount(
                &self.scratch.join("layers"),
                &self.rootfs(),
                config.privilege,
            )
            .map_err(failed)
    }

    /// Makes the upper directory. The root directory of the container takes its
    /// mode and owner, so they must be those of the topmost layer.
    fn make_upper(
        &self,
        lower: Option<&Path>,
        privilege: Privilege,
    ) -> io::Result<(PathBuf, PathBuf)> {
        let (upper, work) = (self.scratch.join("upper"), self.scratch.join("work"));
        fs_err::create_dir(&upper)?;
        fs_err::create_dir(&work)?;
        if let Some(lower) = lower {
            let metadata = fs_err::metadata(lower)?;
            let permissions = std::fs::Permissions::from_mode(metadata.mode() & 0o7777);
            fs_err::set_permissions(&upper, permissions)?;
            if privilege == Privilege::Root {
                let (uid, gid) = (metadata.uid(), metadata.gid());
                fs_err::os::unix::fs::chown(&upper, Some(uid), Some(gid))?;
            }
        }
        Ok((upper, work))
    }
}
