//! Writes the entries of a layer below its root.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::fs::{mkdirat, mknodat, openat, openat2, unlinkat};
use rustix::io::Errno;

use super::attributes::Filter;
use super::entry::{Entry, Kind};
use super::metadata::{self, Directories};
use super::paths::{DIRECTORY_FLAGS, PATH_FLAGS, RESOLVE, WHITEOUT_PREFIX};
use super::sparse::Layout;
use super::{LayerError, content};
use crate::kernel::namespace::Privilege;
use crate::store::{self, StoreError};

pub(super) const NEW_DIRECTORY: Mode = Mode::from_raw_mode(0o755);
/// Bytes copied at a time.
const BUFFER: usize = 256 * 1024;

/// A layer's tree while it is being written.
pub(super) struct Tree {
    pub(super) root: OwnedFd,
    pub(super) privilege: Privilege,
    /// The parent directory of the last entry. Archives list siblings together.
    parent: Option<(OsString, OwnedFd)>,
    /// Whiteouts of this layer: the directory of each, and the name that it
    /// hides.
    pub(super) whiteouts: Vec<(OsString, OsString)>,
    /// Directories that get their modes and times after all entries are
    /// written.
    directories: Directories,
    attributes: Filter,
    buffer: Vec<u8>,
}

impl Tree {
    /// Makes the root.
    pub(super) fn new(root: &Path) -> Result<Self, StoreError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let open = || -> io::Result<OwnedFd> {
            std::fs::DirBuilder::new().mode(0o755).create(root)?;
            let root = rustix::fs::open(root, OFlags::RDONLY | PATH_FLAGS, Mode::empty())?;
            rustix::fs::chmodat(&root, ".", NEW_DIRECTORY, AtFlags::empty())?;
            Ok(root)
        };
        Ok(Self {
            root: open().map_err(|source| StoreError::io("make", root, source))?,
            privilege: Privilege::of_this_process().unwrap_or(Privilege::Rootless),
            parent: None,
            whiteouts: Vec::new(),
            directories: Directories::default(),
            attributes: Filter::default(),
            buffer: vec![0; BUFFER],
        })
    }

    /// Adds an entry whose file content is `content`.
    pub(super) fn add(
        &mut self,
        mut entry: Entry,
        content: &mut impl Read,
    ) -> Result<(), LayerError> {
        self.attributes.apply(&mut entry);
        let entry = &entry;
        let components = entry.components(&entry.path)?;
        let Some((name, parents)) = components.split_last() else {
            return self.add_root(entry);
        };
        let parent_path = join(parents);
        let parent = self.take_parent(&parent_path, parents, entry)?;
        let result = self.add_below(parent.as_fd(), name, &parent_path, entry, content);
        self.parent = Some((parent_path, parent));
        result
    }

    fn add_below(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        parent_path: &OsStr,
        entry: &Entry,
        content: &mut impl Read,
    ) -> Result<(), LayerError> {
        if name.starts_with(WHITEOUT_PREFIX) {
            return self.whiteout(parent, name, parent_path, entry);
        }
        let name = OsStr::from_bytes(name);
        match &entry.kind {
            Kind::Directory => {
                let path = Path::new(parent_path).join(name).into_os_string();
                self.make_directory(parent, name)
                    .and_then(|()| rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW))
                    .map(|stat| self.directories.add(path, &stat, entry))
                    .map_err(|errno| entry.write_error(errno))
            }
            Kind::File(layout) => self.file(parent, name, entry, content, layout),
            Kind::Symlink => self.symlink(parent, name, entry),
            Kind::Hardlink => self.hardlink(parent, name, entry),
            Kind::Fifo => {
                clear(parent, name, entry)?;
                mknodat(parent, name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
                    .map_err(|errno| entry.write_error(errno))?;
                self.set_path_metadata(parent, name, entry)
            }
            Kind::Device => {
                tracing::warn!(path = entry.name(), "device node skipped");
                Ok(())
            }
            Kind::Other => Err(entry.refuse("its type is unknown")),
        }
    }

    fn add_root(&mut self, entry: &Entry) -> Result<(), LayerError> {
        if entry.kind != Kind::Directory {
            return Err(entry.refuse("it replaces the root directory"));
        }
        let stat = rustix::fs::fstat(&self.root).map_err(|errno| entry.write_error(errno))?;
        self.directories.add(OsString::from("."), &stat, entry);
        Ok(())
    }

    /// Opens the parent directory of an entry. Makes it if the archive did not
    /// list it.
    fn take_parent(
        &mut self,
        path: &OsStr,
        components: &[&[u8]],
        entry: &Entry,
    ) -> Result<OwnedFd, LayerError> {
        if let Some((cached, parent)) = self.parent.take()
            && cached == path
        {
            return Ok(parent);
        }
        match openat2(&self.root, path, PATH_FLAGS, Mode::empty(), RESOLVE) {
            Ok(parent) => Ok(parent),
            Err(Errno::NOENT | Errno::NOTDIR) => self.make_parents(components, entry),
            Err(errno) => Err(entry.write_error(errno)),
        }
    }

    fn make_parents(&mut self, components: &[&[u8]], entry: &Entry) -> Result<OwnedFd, LayerError> {
        let failed = |errno| entry.write_error(errno);
        let mut parent = self.open_directory(OsStr::new(".")).map_err(failed)?;
        for depth in 1..=components.len() {
            let path = join(&components[..depth]);
            parent = match self.open_directory(&path) {
                Err(Errno::NOENT | Errno::NOTDIR) => {
                    let name = OsStr::from_bytes(components[depth - 1]);
                    self.make_implied(parent.as_fd(), name, path.clone())
                        .map_err(failed)?;
                    self.open_directory(&path).map_err(failed)?
                }
                opened => opened.map_err(failed)?,
            };
        }
        Ok(parent)
    }

    fn open_directory(&self, path: &OsStr) -> Result<OwnedFd, Errno> {
        openat2(&self.root, path, PATH_FLAGS, Mode::empty(), RESOLVE)
    }

    fn file(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        entry: &Entry,
        from: &mut impl Read,
        layout: &Layout,
    ) -> Result<(), LayerError> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(entry.mode) & (Mode::RWXU | Mode::RWXG | Mode::RWXO);
        let file = match openat(parent, name, flags, mode) {
            Err(Errno::EXIST) => {
                clear(parent, name, entry)?;
                openat(parent, name, flags, mode)
            }
            opened => opened,
        };
        let file = file.map_err(|errno| entry.write_error(errno))?;
        let mut file = std::fs::File::from(file);
        content::write(&mut file, entry, layout, from, &mut self.buffer)?;
        metadata::set(file.as_fd(), entry, self.privilege)
    }

    fn symlink(
        &self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        entry: &Entry,
    ) -> Result<(), LayerError> {
        clear(parent, name, entry)?;
        if entry.link.is_empty() || entry.link.contains(&0) {
            return Err(entry.refuse("its target is empty or holds a NUL byte"));
        }
        let failed = |errno| entry.write_error(errno);
        rustix::fs::symlinkat(OsStr::from_bytes(&entry.link), parent, name).map_err(failed)?;
        metadata::set_link(parent, name, entry, self.privilege).map_err(failed)
    }

    fn hardlink(
        &self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        entry: &Entry,
    ) -> Result<(), LayerError> {
        let components = entry.components(&entry.link)?;
        let Some((target, parents)) = components.split_last() else {
            return Err(entry.refuse("it is a hard link to the root directory"));
        };
        let missing = "it is a hard link to what this layer does not hold";
        let directory = self
            .open_directory(&join(parents))
            .map_err(|_| entry.refuse(missing))?;
        clear(parent, name, entry)?;
        let target = OsStr::from_bytes(target);
        rustix::fs::linkat(&directory, target, parent, name, AtFlags::empty()).map_err(|errno| {
            match errno {
                Errno::NOENT => entry.refuse(missing),
                errno => entry.write_error(errno),
            }
        })
    }

    /// Makes a directory if there is none. Removes any other entry at the path.
    /// The new directory hides what that entry hid in the layers below.
    fn make_directory(&self, parent: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
        match mkdirat(parent, name, NEW_DIRECTORY) {
            Err(Errno::EXIST) => {}
            made => return made,
        }
        let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Ok(());
        }
        unlinkat(parent, name, AtFlags::empty())?;
        mkdirat(parent, name, NEW_DIRECTORY)?;
        let made = openat(parent, name, DIRECTORY_FLAGS, Mode::empty())?;
        self.make_opaque(made.as_fd())
    }

    /// Makes a directory for which the archive has no entry yet.
    fn make_implied(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        path: OsString,
    ) -> Result<(), Errno> {
        self.make_directory(parent, name)?;
        let made = openat(parent, name, DIRECTORY_FLAGS, Mode::empty())?;
        self.directories
            .add_implied(path, &rustix::fs::fstat(&made)?);
        // Sets the mode explicitly, because the umask changes it.
        rustix::fs::fchmod(made, NEW_DIRECTORY)
    }

    fn set_path_metadata(
        &self,
        parent: BorrowedFd<'_>,
        name: &OsStr,
        entry: &Entry,
    ) -> Result<(), LayerError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(parent, name, flags, Mode::empty());
        let file = file.map_err(|errno| entry.write_error(errno))?;
        metadata::set(file.as_fd(), entry, self.privilege)
    }

    /// Removes needless whiteouts, and sets modes and times of directories.
    /// Returns the directories that have no entry.
    pub(super) fn finish(self) -> Result<Vec<PathBuf>, LayerError> {
        self.sweep_whiteouts();
        let implied = self.directories.implied(&self.root);
        self.directories.finish(&self.root, self.privilege)?;
        Ok(implied)
    }
}

fn join(components: &[&[u8]]) -> OsString {
    if components.is_empty() {
        return OsString::from(".");
    }
    OsString::from_vec(components.join(&b'/'))
}

/// Removes an earlier entry of the layer at a path, with its contents.
fn clear(parent: BorrowedFd<'_>, name: &OsStr, entry: &Entry) -> Result<(), LayerError> {
    let removed = match unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => unlinkat(parent, name, AtFlags::REMOVEDIR),
        removed => removed,
    };
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::NOTEMPTY) => {
            let parent = format!("/proc/self/fd/{}", parent.as_raw_fd());
            Ok(store::remove_tree(&Path::new(&parent).join(name))?)
        }
        Err(errno) => Err(entry.write_error(errno)),
    }
}
