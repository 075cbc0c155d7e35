//! Prepares the directories of the project in which a build works.
//!
//! ```text
//! source/        see `sync::source`
//! cache/         what the lifecycle caches
//! build-cache/   what buildpacks keep themselves, see the module `cache`
//! layers/        the layers directory of the last successful build
//! build/         the build in progress; removed at its end
//! ```

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use protocol::event::Phase;
use protocol::request::SourceOrigin;
use protocol::{BuildVariable, Failure, FailureKind};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Stat, Uid};

use super::cache::BuildCache;
use super::images::Images;
use super::order::{BuildpackTree, Order};
use super::resolved_request::ResolvedRequest;
use crate::buildpack_build::lifecycle;
use crate::kernel::namespace::Privilege;
use crate::kernel::walk::{Step, Walk, is_directory};
use crate::store::{Store, remove_tree};
use crate::sync::source::Source;

/// Paths in a project's directory.
#[derive(Debug, Clone)]
pub struct ProjectLayout {
    root: PathBuf,
}

impl ProjectLayout {
    /// The paths in the project's directory `root`.
    pub fn new(root: &Path) -> Self {
        let root = root.to_owned();
        Self { root }
    }

    /// The project's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The layers directory of the last successful build.
    pub fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// The build cache.
    pub(crate) fn build_cache(&self) -> BuildCache<'_> {
        BuildCache::of(&self.root)
    }

    fn build(&self) -> PathBuf {
        self.root.join("build")
    }

    /// The failure for an I/O error in this directory.
    pub fn failure(&self, action: &str, error: &io::Error) -> Failure {
        let kind = if protocol::is_full(error) {
            FailureKind::DiskFull
        } else {
            FailureKind::Store
        };
        let mut failure = Failure::new(kind, format!("cannot {action} in {}", self.root.display()));
        failure.causes.push(error.to_string());
        failure
    }
}

/// The directories of a build in progress. Dropping it removes them.
pub struct BuildDir {
    layout: ProjectLayout,
    root: PathBuf,
    /// The directory with the application's source.
    pub(super) source: PathBuf,
    /// Buildpacks that the builder lacks.
    pub(super) buildpacks: Vec<BuildpackTree>,
}

pub(super) struct Prepare<'a> {
    pub(super) store: &'a Store,
    pub(super) layout: &'a ProjectLayout,
    pub(super) resolved: &'a ResolvedRequest,
    pub(super) images: &'a Images,
    pub(super) sources: &'a [Source],
}

impl Prepare<'_> {
    /// Makes the directories, and writes the input files of the lifecycle.
    pub(super) fn run(self, order: Order) -> Result<BuildDir, Failure> {
        let root = self.layout.build();
        remove_tree(&root)?;
        if self.resolved.request.clear_cache {
            self.clear_cache(&root)
                .map_err(|error| self.layout.failure("clear the caches", &error))?;
            self.layout.build_cache().clear()?;
        }
        self.layout.build_cache().sweep(self.store)?;
        let directory = BuildDir {
            layout: self.layout.clone(),
            root,
            source: self.sources[0].path.clone(),
            buildpacks: order.trees,
        };
        self.write(&directory, order.toml.as_deref())
            .map_err(|error| self.layout.failure("prepare the build", &error))?;
        Ok(directory)
    }

    /// Clears the cache. The rename into the build's directory removes it in
    /// one step, because the lifecycle would use a partly removed cache as if
    /// it were complete.
    fn clear_cache(&self, root: &Path) -> io::Result<()> {
        let cleared = root.join("cleared");
        fs_err::create_dir_all(root)?;
        match fs_err::rename(self.layout.cache(), &cleared) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed?,
        }
        remove_tree(&cleared).map_err(io::Error::other)
    }

    fn write(&self, directory: &BuildDir, order: Option<&str>) -> io::Result<()> {
        let root = &directory.root;
        for name in [
            "layers",
            "workspace/upper",
            "workspace/work",
            "platform/env",
            "platform/cache",
            "tmp",
        ] {
            fs_err::create_dir_all(root.join(name))?;
        }
        // In the image, the application's directory has this mode whatever the
        // mode of its source folder, as with pack.
        let mode = match self.resolved.request.origin {
            SourceOrigin::Folder => 0o777,
            SourceOrigin::Archive => 0o755,
        };
        let mode = std::fs::Permissions::from_mode(mode);
        fs_err::set_permissions(root.join("workspace/upper"), mode)?;
        fs_err::create_dir_all(self.layout.cache())?;
        self.layout.build_cache().make()?;
        write_variables(&root.join("platform/env"), &self.resolved.request.env)?;
        let toml = |text: Result<String, toml::ser::Error>| text.map_err(io::Error::other);
        let layers = root.join("layers");
        let images = &self.images.builder.run_images;
        fs_err::write(layers.join("run.toml"), toml(lifecycle::run_toml(images))?)?;
        fs_err::write(
            layers.join("stack.toml"),
            toml(lifecycle::stack_toml(images))?,
        )?;
        if let Some(order) = order {
            fs_err::write(layers.join("order.toml"), order)?;
        }
        if Privilege::of_this_process()? == Privilege::Root {
            // Without root, all files already belong to the builder's user in
            // its namespace.
            let owner = (self.images.builder.uid, self.images.builder.gid);
            own_tree(root, owner)?;
            own_tree(&directory.source, owner)?;
            own_tree(&self.layout.cache(), owner)?;
            self.layout.build_cache().own(owner, own_tree)?;
        }
        Ok(())
    }
}

impl BuildDir {
    /// The path of a file or directory of the build.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The cache of the lifecycle.
    pub(super) fn cache(&self) -> PathBuf {
        self.layout.cache()
    }

    /// The build cache.
    pub(super) fn build_cache(&self) -> PathBuf {
        self.layout.build_cache().path()
    }

    /// Makes two empty directories for a phase's changes to the root file
    /// system.
    pub(super) fn scratch(&self, phase: Phase) -> io::Result<(PathBuf, PathBuf)> {
        let scratch = self.root.join(format!("root-{phase:?}"));
        let (upper, work) = (scratch.join("upper"), scratch.join("work"));
        fs_err::create_dir_all(&upper)?;
        fs_err::create_dir_all(&work)?;
        Ok((upper, work))
    }

    /// Moves the layers directory to where shells find it.
    pub(super) fn keep(&self) -> io::Result<()> {
        let layers = self.layout.layers();
        remove_tree(&layers).map_err(io::Error::other)?;
        fs_err::rename(self.root.join("layers"), layers)
    }
}

impl Drop for BuildDir {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.root) {
            tracing::warn!(%error, "the directory of the build stays");
        }
    }
}

/// Writes the user's build variables, one file for each.
fn write_variables(directory: &Path, variables: &[BuildVariable]) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::open(directory, flags, Mode::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let (mode, resolve) = (Mode::from_raw_mode(0o644), ResolveFlags::BENEATH);
    for BuildVariable { name, value } in variables {
        let file = rustix::fs::openat2(&directory, name.as_str(), flags, mode, resolve)?;
        std::fs::File::from(file).write_all(value.as_bytes())?;
    }
    Ok(())
}

/// Changes the owner of a tree. Does not follow links.
fn own_tree(path: &Path, owner: (u32, u32)) -> io::Result<()> {
    let wrong = |stat: &Stat| (stat.st_uid, stat.st_gid) != owner;
    let (uid, gid) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
    let (uid, gid) = (Some(uid), Some(gid));
    let stat = rustix::fs::lstat(path)?;
    if wrong(&stat) {
        rustix::fs::chownat(CWD, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    if !is_directory(&stat) {
        return Ok(());
    }
    let mut walk = Walk::of(path)?;
    while let Some(step) = walk.next()? {
        let Step::Entry(entry) = step else { continue };
        let stat = entry.stat(&walk)?;
        if let (true, Some(current)) = (wrong(&stat), walk.directory()) {
            rustix::fs::chownat(current, &entry.name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if is_directory(&stat) {
            walk.enter(&entry)?;
        }
    }
    Ok(())
}
