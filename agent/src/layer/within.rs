//! What is in an extracted layer: no link leads out of it.

use std::io::Read as _;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, ResolveFlags};

/// Opens a path of a layer, which is its root; absent when it cannot be opened.
pub fn open(layer: &Path, path: &str, flags: OFlags) -> Option<OwnedFd> {
    let root = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(layer, root, Mode::empty()).ok()?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::CLOEXEC;
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve).ok()
}

/// The text of a regular file, and no more of it than so many bytes.
pub fn read(layer: &Path, path: &str, most: u64) -> Option<String> {
    let file = open(layer, path, OFlags::RDONLY | OFlags::NONBLOCK)?;
    let file = std::fs::File::from(file);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    file.take(most).read_to_string(&mut text).ok()?;
    Some(text)
}
