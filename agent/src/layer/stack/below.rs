//! What layers show that others are put above.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};

use super::whiteout;

/// Links in a row that are followed, as by Linux.
const LINKS: usize = 40;

/// The directories below a layer, the lowest first.
pub(super) struct Below<'a>(pub(super) &'a [PathBuf]);

/// What is at a path, by where a layer has it.
pub(super) enum Found {
    Directory(PathBuf),
    Link(PathBuf),
    Other,
}

impl Below<'_> {
    /// What a stack shows at a path; no link in it is followed.
    pub(super) fn find(&self, path: &Path) -> io::Result<Option<Found>> {
        for layer in self.0.iter().rev() {
            match find_in(layer, path)? {
                InLayer::Found(found) => return Ok(Some(found)),
                InLayer::Hidden => return Ok(None),
                InLayer::Nothing => {}
            }
        }
        Ok(None)
    }

    /// Where a path leads in a stack, of which some may be missing; nothing when
    /// it is no path of a directory.
    pub(super) fn resolve(&self, path: &Path) -> io::Result<Option<PathBuf>> {
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
                Some(Found::Other) => return Ok(None),
                Some(Found::Directory(_)) | None => done = next,
            }
        }
        Ok(Some(done))
    }
}

/// A path's components, the last first.
fn reversed(path: &Path) -> Vec<OsString> {
    let components = path.components().rev();
    let names = components.filter(|it| matches!(it, Component::Normal(_) | Component::ParentDir));
    names.map(|it| it.as_os_str().to_owned()).collect()
}

/// What one layer says of a path.
enum InLayer {
    Found(Found),
    /// Nothing, and layers below cannot say anything either.
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
                Found::Other
            }));
        }
        if !kind.is_dir() {
            return Ok(InLayer::Hidden);
        }
        hides |= whiteout::is_opaque(&at);
    }
    Ok(InLayer::Nothing)
}
