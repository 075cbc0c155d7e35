//! Looks up paths in a stack of layers, as overlayfs shows them. A link
//! resolves within the whole image, and never outside it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt as _;

use super::whiteout;

/// The most links in a row that a lookup follows, as in Linux.
const LINKS: usize = 40;

/// The directories of layers, the uppermost first.
#[derive(Debug, Clone, Copy)]
pub struct Merged<'a>(pub &'a [PathBuf]);

/// An entry and its path in the layer that has it.
pub(super) enum Found {
    Directory(PathBuf),
    Link(PathBuf),
    Other(PathBuf),
}

impl Merged<'_> {
    /// The bytes of the regular file at a path; absent if there is none. Fails
    /// if the file has more than `most` bytes.
    pub fn read(&self, path: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(path) = self.resolve(Path::new(path))? else {
            return Ok(None);
        };
        let Some(Found::Other(place)) = self.find(&path)? else {
            return Ok(None);
        };
        let file = fs_err::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(place)?;
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Some(bytes))
    }

    /// The same as text; absent if the file cannot be read.
    pub fn text(&self, path: &str, most: u64) -> Option<String> {
        let bytes = self.read(path, most).ok()??;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether a path leads to an entry that is not a directory.
    pub fn has_file(&self, path: &str) -> bool {
        let found = self.resolve(Path::new(path)).and_then(|path| match path {
            Some(path) => self.find(&path),
            None => Ok(None),
        });
        matches!(found, Ok(Some(Found::Other(_))))
    }

    /// The names in the directory at a path; empty if it cannot be read.
    pub fn names(&self, directory: &str) -> BTreeSet<OsString> {
        let Ok(Some(directory)) = self.resolve(Path::new(directory)) else {
            return BTreeSet::new();
        };
        let own = |layer: &PathBuf| match find_in(layer, &directory) {
            Ok(InLayer::Found(Found::Directory(own))) => fs_err::read_dir(own).ok(),
            _ => None,
        };
        let entries = self.0.iter().filter_map(own).flatten().flatten();
        let mut names: BTreeSet<OsString> = entries.map(|entry| entry.file_name()).collect();
        names.retain(|name| matches!(self.find(&directory.join(name)), Ok(Some(_))));
        names
    }

    /// The entry that the stack shows at a path. Follows no link.
    pub(super) fn find(&self, path: &Path) -> io::Result<Option<Found>> {
        for layer in self.0 {
            match find_in(layer, path)? {
                InLayer::Found(found) => return Ok(Some(found)),
                InLayer::Hidden => return Ok(None),
                InLayer::Nothing => {}
            }
        }
        Ok(None)
    }

    /// Resolves the links of a path in the stack. Components at the end may be
    /// missing. Absent if a parent is not a directory.
    pub(crate) fn resolve(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let mut done = PathBuf::new();
        let mut left = reversed(path);
        let mut links = 0;
        while let Some(name) = left.pop() {
            if name == OsStr::new("..") {
                done.pop();
                continue;
            }
            let next = done.join(&name);
            match self.find(&next)? {
                Some(Found::Link(link)) => {
                    links += 1;
                    if links > LINKS {
                        return Ok(None);
                    }
                    let target = fs_err::read_link(link)?;
                    if target.is_absolute() {
                        done.clear();
                    }
                    left.extend(reversed(&target));
                }
                Some(Found::Other(_)) if !left.is_empty() => return Ok(None),
                _ => done = next,
            }
        }
        Ok(Some(done))
    }
}

/// The components of a path, the last one first.
fn reversed(path: &Path) -> Vec<OsString> {
    let components = path.components().rev();
    let names = components.filter(|it| matches!(it, Component::Normal(_) | Component::ParentDir));
    names.map(|it| it.as_os_str().to_owned()).collect()
}

/// The result of a lookup in one layer.
enum InLayer {
    Found(Found),
    /// The layer has no entry, and hides the entries of the layers below.
    Hidden,
    Nothing,
}

fn find_in(layer: &Path, path: &Path) -> io::Result<InLayer> {
    let mut at = layer.to_owned();
    let mut hides = false;
    let mut components = path.components().peekable();
    while let Some(component) = components.next() {
        at.push(component);
        let metadata = match fs_err::symlink_metadata(&at) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound && hides => {
                return Ok(InLayer::Hidden);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(InLayer::Nothing),
            Err(error) => return Err(error),
        };
        let is_last = components.peek().is_none();
        let kind = metadata.file_type();
        if kind.is_char_device() && metadata.rdev() == 0 {
            return Ok(InLayer::Hidden);
        }
        if is_last {
            return Ok(InLayer::Found(if kind.is_dir() {
                Found::Directory(at)
            } else if kind.is_symlink() {
                Found::Link(at)
            } else {
                Found::Other(at)
            }));
        }
        if !kind.is_dir() {
            return Ok(InLayer::Hidden);
        }
        hides |= whiteout::is_opaque(&at);
    }
    Ok(InLayer::Nothing)
}
