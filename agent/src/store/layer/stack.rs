//! Corrects stacks of layers in which a layer does not list the directories of
//! its entries.
//!
//! A layer that contains `lib/x` may not list `lib`. Then `lib` is the entry of
//! the layers below: a link, or a directory with its own mode. The tree of the
//! layer itself has a plain directory, which overlayfs would show instead. A
//! *correction* is a directory above such a layer's tree. It has the link, and
//! the layer's content at the link's target. It also has the directories with
//! their original metadata. Its files are hard links, so it takes no space.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};
use rustix::fs::{linkat, mkdirat, openat2};
use rustix::io::Errno;

use super::merged::{Found, Merged};
use super::tree::NEW_DIRECTORY;
use super::{metadata, whiteout};

/// No link leads out of a correction, or to another place in it.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// An extracted layer.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Its tree.
    pub root: PathBuf,
    /// Directories that it does not list, relative to the root.
    pub implied: Vec<PathBuf>,
}

/// The lower directories of overlayfs for an image, the uppermost first.
/// `layers` begins with the lowest. Makes the corrections in `scratch`, which
/// must be on the file system of the layers.
pub fn lowers(layers: &[Layer], scratch: &Path) -> io::Result<Vec<PathBuf>> {
    let mut lowers: Vec<PathBuf> = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        lowers = above(layer, lowers, scratch.join(format!("above-{number}")))?;
    }
    Ok(lowers)
}

/// Adds one layer above the lower directories `below`. Makes its correction, if
/// it needs one, at `place`.
pub fn above(layer: &Layer, below: Vec<PathBuf>, place: PathBuf) -> io::Result<Vec<PathBuf>> {
    let correction = correct(layer, &below, place)?;
    let own = correction.into_iter().chain([layer.root.clone()]);
    Ok(own.chain(below).collect())
}

/// Makes the correction of a layer; absent if the layer needs none.
fn correct(layer: &Layer, below: &[PathBuf], place: PathBuf) -> io::Result<Option<PathBuf>> {
    if layer.implied.is_empty() || below.is_empty() {
        return Ok(None);
    }
    fs_err::create_dir(&place)?;
    let mut correction = Correction {
        layer: &layer.root,
        implied: layer.implied.iter().map(PathBuf::as_path).collect(),
        leading: layer.implied.iter().flat_map(|it| it.ancestors()).collect(),
        below: Merged(below),
        root: rustix::fs::open(&place, DIRECTORY, Mode::empty())?,
        made: vec![(PathBuf::from("."), Like::Directory(layer.root.clone()))],
    };
    correction.walk(Path::new(""), Path::new(""), Reach::Stays)?;
    correction.finish()?;
    if fs_err::read_dir(&place)?.next().is_some() {
        return Ok(Some(place));
    }
    fs_err::remove_dir(&place)?;
    Ok(None)
}

/// A correction in the making. Paths are relative to the roots of trees.
struct Correction<'a> {
    layer: &'a Path,
    implied: HashSet<&'a Path>,
    /// The implied directories and all their parents.
    leading: HashSet<&'a Path>,
    below: Merged<'a>,
    root: OwnedFd,
    /// Directories of the correction, each with the source of its metadata.
    made: Vec<(PathBuf, Like)>,
}

/// The source of a directory's metadata.
enum Like {
    /// None: the directory is new.
    New,
    /// This directory, except its mark of an opaque directory.
    Directory(PathBuf),
    /// This directory, including its mark of an opaque directory.
    Moved(PathBuf),
}

/// Where a directory of the layer appears in the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// At its own path.
    Stays,
    /// At the target of a link of a layer below.
    Moves,
    /// At the target of the link, where it hides the entries of the layers
    /// below.
    MovesHiding,
}

impl Correction<'_> {
    /// Corrects the entries of a directory of the layer. The directory appears
    /// at `place` in the stack.
    fn walk(&mut self, directory: &Path, place: &Path, reach: Reach) -> io::Result<()> {
        // Reads all entries at once, so that a deep tree does not keep one
        // descriptor open for each level.
        let entries = fs_err::read_dir(self.layer.join(directory))?;
        for entry in entries.collect::<io::Result<Vec<_>>>()? {
            let (from, to) = (
                directory.join(entry.file_name()),
                place.join(entry.file_name()),
            );
            if entry.file_type()?.is_dir() {
                self.directory(&from, &to, reach)?;
            } else if reach != Reach::Stays {
                self.link(&self.layer.join(&from), &to)?;
            }
        }
        Ok(())
    }

    fn directory(&mut self, from: &Path, to: &Path, reach: Reach) -> io::Result<()> {
        let moves = reach != Reach::Stays;
        if !moves && !self.leading.contains(from) {
            return Ok(());
        }
        let own = self.layer.join(from);
        let hides = reach == Reach::MovesHiding || whiteout::is_opaque(&own);
        let found = if hides { None } else { self.below.find(to)? };
        let is_implied = self.implied.contains(from);
        let (below, hides) = match found {
            Some(Found::Directory(below)) => (Some(below), false),
            Some(Found::Link(link)) if is_implied => {
                if let Some(target) = self.directory_at(to)? {
                    self.link(&link, to)?;
                    self.make_as_shown(&target)?;
                    return self.walk(from, &target, Reach::Moves);
                }
                (None, true)
            }
            _ => (None, true),
        };
        match below {
            Some(below) if is_implied => self.make(to, Like::Directory(below))?,
            _ if moves => self.make(to, Like::Moved(own))?,
            _ => {}
        }
        match (moves, hides) {
            // Nothing that the layer has there is above anything.
            (false, true) => Ok(()),
            (false, false) => self.walk(from, to, Reach::Stays),
            (true, false) => self.walk(from, to, Reach::Moves),
            (true, true) => self.walk(from, to, Reach::MovesHiding),
        }
    }

    /// The directory of the layers below that a path leads to. It may be
    /// missing.
    fn directory_at(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let Some(target) = self.below.resolve(path)? else {
            return Ok(None);
        };
        let is_other = matches!(self.below.find(&target)?, Some(Found::Other(_)));
        Ok((!is_other).then_some(target))
    }

    /// Links an entry of the layer into the correction. Keeps an entry that is
    /// already there, because two entries may lead to one place.
    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let Some((parent, name)) = self.parent(to)? else {
            return Ok(());
        };
        match linkat(CWD, from, parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn make(&mut self, path: &Path, like: Like) -> io::Result<()> {
        let Some((parent, name)) = self.parent(path)? else {
            return Ok(());
        };
        match mkdirat(parent, &name, Mode::RWXU) {
            Err(Errno::EXIST) => return Ok(()),
            made => made?,
        }
        self.made.push((path.to_owned(), like));
        Ok(())
    }

    /// Makes a directory with the metadata that the stack shows.
    fn make_as_shown(&mut self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() {
            return Ok(());
        }
        let like = self.shown(path)?;
        self.make(path, like.map_or(Like::New, Like::Directory))
    }

    /// Opens the parent of a path and returns it with the last component. Makes
    /// missing parents. Absent if an entry that is not a directory is in the
    /// way.
    fn parent(&mut self, path: &Path) -> io::Result<Option<(OwnedFd, OsString)>> {
        let name = path.file_name().unwrap_or_default().to_owned();
        let parent = path.parent().unwrap_or(Path::new(""));
        if matches!(self.open(parent), Err(Errno::NOENT)) {
            self.make_as_shown(parent)?;
        }
        match self.open(parent) {
            Ok(parent) => Ok(Some((parent, name))),
            Err(Errno::LOOP | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    fn open(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        openat2(&self.root, path, DIRECTORY, Mode::empty(), RESOLVE)
    }

    /// The directory that the stack shows at a path.
    fn shown(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let own = self.layer.join(path);
        let is_own = Merged(&[self.layer.to_owned()]).find(path)?;
        let is_own = matches!(is_own, Some(Found::Directory(_)));
        if is_own && !self.implied.contains(path) {
            return Ok(Some(own));
        }
        match self.below.find(path)? {
            Some(Found::Directory(below)) => Ok(Some(below)),
            _ => Ok(is_own.then_some(own)),
        }
    }

    /// Sets modes and times of the directories, after all entries are in them.
    fn finish(&self) -> io::Result<()> {
        for (path, like) in self.made.iter().rev() {
            let directory = self.open(path)?;
            match like {
                Like::New => rustix::fs::fchmod(directory, NEW_DIRECTORY)?,
                Like::Directory(from) => metadata::copy(from, directory.as_fd())?,
                Like::Moved(from) => {
                    whiteout::copy_opaque(from, directory.as_fd())?;
                    metadata::copy(from, directory.as_fd())?;
                }
            }
        }
        Ok(())
    }
}
