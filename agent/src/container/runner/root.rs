//! Resolves paths only within a container's root file system, so that no link
//! of an image leads to a file of the machine.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, open, openat, openat2,
    readlinkat, statat,
};
use rustix::io::Errno;

use super::error::RunnerError;

/// The directories that libcontainer mounts, or in which it creates files.
const RESERVED: [&str; 3] = ["/dev", "/proc", "/sys"];
/// The most dangling links to follow in a row.
const MAX_LINKS: usize = 40;

/// A container's root file system.
#[derive(Debug)]
pub(super) struct Root(OwnedFd);

/// The type of a missing mount point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
}

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(open(path, flags, Mode::empty())?))
    }

    /// Fails if a reserved path of the image exists and is not a directory.
    pub(super) fn check_reserved(&self) -> Result<(), RunnerError> {
        for path in RESERVED {
            let name = path.trim_start_matches('/');
            match statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {}
                Err(Errno::NOENT) => {}
                _ => return Err(RunnerError::ReservedPath(path.into())),
            }
        }
        Ok(())
    }

    /// Opens a mount point. Makes its missing components.
    pub(super) fn ensure(&self, path: &Path, kind: Kind) -> io::Result<OwnedFd> {
        self.ensure_within(path, kind, MAX_LINKS)
    }

    fn ensure_within(&self, path: &Path, kind: Kind, links: usize) -> io::Result<OwnedFd> {
        match self.find(path) {
            Err(Errno::NOENT) => {}
            found => return Ok(found?),
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::NOENT.into());
        };
        let directory = self.ensure_within(parent, Kind::Directory, links)?;
        match readlinkat(&directory, name, Vec::new()) {
            Ok(_) if links == 0 => return Err(Errno::LOOP.into()),
            Ok(target) => {
                use std::os::unix::ffi::OsStrExt;
                let target = std::ffi::OsStr::from_bytes(target.as_bytes());
                return self.ensure_within(&parent.join(target), kind, links - 1);
            }
            // The path is not a link, or does not exist.
            Err(Errno::INVAL | Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        make(&directory, name.as_ref(), kind)?;
        Ok(self.find(path)?)
    }

    fn find(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        openat2(&self.0, path, flags, Mode::empty(), resolve)
    }
}

fn make(directory: &OwnedFd, name: &Path, kind: Kind) -> io::Result<()> {
    match kind {
        Kind::Directory => mkdirat(directory, name, Mode::from_raw_mode(0o755))?,
        Kind::File => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            drop(openat(directory, name, flags, Mode::from_raw_mode(0o644))?);
        }
    }
    Ok(())
}

impl Kind {
    /// The type of the mount point for a file of the machine.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let file = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let stat = fstat(&file)?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Self::Directory,
            _ => Self::File,
        })
    }
}

/// A placeholder for calls that require a directory and get descriptors.
pub(super) const NO_DIRECTORY: rustix::fd::BorrowedFd<'static> = CWD;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step fails the test")]
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::{Kind, Root};

    /// A root file system and, beside it, a file that must not change.
    fn tree() -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs_err::create_dir(&root).unwrap();
        fs_err::create_dir(directory.path().join("outside")).unwrap();
        let opened = Root::open(&root).unwrap();
        (directory, opened)
    }

    #[test]
    fn links_stay_inside() {
        let (directory, root) = tree();
        let inside = directory.path().join("root");
        symlink("../../outside", inside.join("up")).unwrap();
        symlink(directory.path().join("outside"), inside.join("absolute")).unwrap();
        for link in ["/up/a/b", "/absolute/c"] {
            root.ensure(Path::new(link), Kind::File).unwrap();
        }
        let outside = directory.path().join("outside");
        assert_eq!(fs_err::read_dir(outside).unwrap().count(), 0);
        assert!(inside.join("outside/a/b").is_file());
        let absolute = directory.path().join("outside/c");
        let absolute = absolute.strip_prefix("/").unwrap();
        assert!(inside.join(absolute).is_file());
    }

    #[test]
    fn a_dangling_link_is_completed() {
        let (directory, root) = tree();
        let inside = directory.path().join("root");
        fs_err::create_dir(inside.join("etc")).unwrap();
        symlink("../run/resolve/stub.conf", inside.join("etc/resolv.conf")).unwrap();
        root.ensure(Path::new("/etc/resolv.conf"), Kind::File)
            .unwrap();
        assert!(inside.join("run/resolve/stub.conf").is_file());
    }

    #[test]
    fn a_loop_of_links_is_refused() {
        let (directory, root) = tree();
        symlink("b", directory.path().join("root/a")).unwrap();
        symlink("a", directory.path().join("root/b")).unwrap();
        assert!(root.ensure(Path::new("/a"), Kind::Directory).is_err());
    }

    #[test]
    fn reserved_paths_are_directories_or_missing() {
        let (directory, root) = tree();
        let inside = directory.path().join("root");
        fs_err::create_dir(inside.join("proc")).unwrap();
        assert!(root.check_reserved().is_ok());
        symlink("/tmp", inside.join("dev")).unwrap();
        let refused = root.check_reserved().unwrap_err();
        assert_eq!(refused.to_string(), "the image has no directory at /dev");
    }
}
