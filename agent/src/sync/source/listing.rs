//! Holds the listing of a tree: its paths, and the host's metadata of each.

mod after_reboot;

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::Path;

use bincode::{Decode, Encode};
use protocol::source::{Entry, EntryKind};

use super::SourceError;
use super::tree::TreeDir;
use crate::images::digest::{Digest, Hasher};
use crate::store::{boot_id, local_encoding};

const PATH_CAP: usize = 4096;

/// The paths of a tree.
#[derive(Debug, Default)]
pub(super) struct Listing(BTreeMap<Vec<u8>, Known>);

/// The id of the boot during which a listing was written, and its paths.
type Noted<Paths> = (Option<String>, Paths);

/// One path of a received tree.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Known {
    Directory {
        mode: u16,
    },
    Symlink {
        target: Vec<u8>,
    },
    File {
        size: u64,
        mode: u16,
        modified: i64,
        stamp: u64,
        digest: Digest,
    },
}

/// Checks that a path stays within the tree, and that it follows the previous
/// one in the listing's order.
pub(crate) fn check(before: Option<&Entry>, entry: &Entry) -> Result<(), SourceError> {
    let path = &entry.path;
    let bad = |component: &[u8]| matches!(component, b"" | b"." | b"..");
    let refused = path.len() > PATH_CAP
        || path.contains(&0)
        || path.split(|byte| *byte == b'/').any(bad)
        || before.is_some_and(|before| !is_before(&before.path, path));
    if refused {
        return Err(SourceError::Path(
            String::from_utf8_lossy(path).into_owned(),
        ));
    }
    Ok(())
}

/// Compares paths by their components, so that a directory directly precedes
/// its contents.
fn is_before(one: &[u8], other: &[u8]) -> bool {
    one.split(|byte| *byte == b'/')
        .lt(other.split(|byte| *byte == b'/'))
}

impl Known {
    /// The metadata of an entry, and the digest if it is a file.
    pub(crate) fn of(entry: &Entry, digest: Option<Digest>) -> Self {
        match &entry.kind {
            EntryKind::Directory { mode } => Self::Directory { mode: *mode },
            EntryKind::Symlink { target } => Self::Symlink {
                target: target.clone(),
            },
            EntryKind::File {
                size,
                mode,
                modified,
                stamp,
            } => Self::File {
                size: *size,
                mode: *mode,
                modified: *modified,
                stamp: *stamp,
                digest: digest.unwrap_or_else(|| Digest::of(b"")),
            },
        }
    }

    /// Whether the host's metadata is unchanged.
    pub(crate) fn is(&self, kind: &EntryKind) -> bool {
        match (self, kind) {
            (Self::Directory { mode: old }, EntryKind::Directory { mode }) => old == mode,
            (Self::Symlink { target: old }, EntryKind::Symlink { target }) => old == target,
            (
                Self::File {
                    size: old_size,
                    mode: old_mode,
                    modified: old_modified,
                    stamp: old_stamp,
                    ..
                },
                EntryKind::File {
                    size,
                    mode,
                    modified,
                    stamp,
                },
            ) => {
                *stamp != 0
                    && (old_size, old_mode, old_modified, old_stamp)
                        == (size, mode, modified, stamp)
            }
            _ => false,
        }
    }
}

impl Listing {
    /// Loads a listing; absent if it is missing or cannot be decoded. For a
    /// listing of an earlier boot, keeps only the paths that match the tree.
    pub(super) fn load(path: &Path, tree: &Path) -> Option<Self> {
        let (boot, paths): Noted<_> = local_encoding::decode(&fs_err::read(path).ok()?)?;
        let mut listing = Self(paths);
        if boot.is_none() || boot.as_deref() != boot_id::id().ok() {
            after_reboot::compare(&mut listing, &TreeDir::open(tree).ok()?);
        }
        Some(listing)
    }

    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&[u8], &Known) -> bool) {
        self.0.retain(|path, known| keeps(path, known));
    }

    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let temporary = path.with_extension("new");
        let noted: Noted<_> = (boot_id::id().ok().map(str::to_owned), &self.0);
        fs_err::write(&temporary, local_encoding::encode(&noted)?)?;
        fs_err::rename(temporary, path)
    }

    pub(super) fn remove(path: &Path) -> io::Result<()> {
        crate::store::remove_file(path)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the tree already has an entry unchanged.
    pub(super) fn keeps(&self, entry: &Entry) -> bool {
        let known = self.0.get(&entry.path);
        known.is_some_and(|known| known.is(&entry.kind))
    }

    /// The digest of a file in the tree.
    pub(super) fn digest_of(&self, entry: &Entry) -> Option<Digest> {
        match self.0.get(&entry.path)? {
            Known::File { digest, .. } => Some(*digest),
            _ => None,
        }
    }

    /// Removes the paths that must leave the tree before new entries are added,
    /// and returns them, children before parents. `kept` has a flag for each
    /// entry: whether the tree already has it.
    pub(super) fn take_vanished(&mut self, entries: &[Entry], kept: &[bool]) -> Vec<Vec<u8>> {
        let is_replaced = |entry: &Entry| {
            let known = self.0.get(&entry.path);
            matches!(
                (known, &entry.kind),
                (Some(Known::File { .. }), EntryKind::File { .. })
                    | (Some(Known::Directory { .. }), EntryKind::Directory { .. })
            )
        };
        let staying: Vec<&Entry> = entries
            .iter()
            .zip(kept)
            .filter(|(entry, kept)| **kept || is_replaced(entry))
            .map(|(entry, _)| entry)
            .collect();
        if staying.len() == self.0.len() {
            return Vec::new();
        }
        let staying: HashSet<&[u8]> = staying.iter().map(|entry| &*entry.path).collect();
        let gone = self.0.extract_if(.., |path, _| !staying.contains(&**path));
        let mut paths: Vec<_> = gone.map(|(path, _)| path).collect();
        paths.reverse();
        paths
    }

    /// Adds a path. A file has the digest of its received content.
    pub(super) fn add(&mut self, entry: &Entry, digest: Option<Digest>) {
        let known = Known::of(entry, digest);
        self.0.insert(entry.path.clone(), known);
    }

    /// The digest over all paths, modes, contents and link targets.
    pub(super) fn digest(&self) -> Digest {
        let mut hasher = Hasher::new();
        for (path, known) in &self.0 {
            known.hash(path, &mut hasher);
        }
        hasher.finish()
    }

    /// The number of regular files.
    pub(super) fn files(&self) -> u64 {
        let is_file = |known: &&Known| matches!(known, Known::File { .. });
        self.0.values().filter(is_file).count() as u64
    }
}

impl Known {
    /// Adds a path to the digest of its tree.
    fn hash(&self, path: &[u8], hasher: &mut Hasher) {
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        field(path);
        match self {
            Self::Directory { mode } => {
                field(b"directory");
                field(&mode.to_le_bytes());
            }
            Self::Symlink { target } => {
                field(b"symlink");
                field(target);
            }
            Self::File { digest, mode, .. } => {
                field(b"file");
                field(&mode.to_le_bytes());
                field(digest.bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &[u8]) -> Entry {
        Entry {
            path: path.to_vec(),
            kind: EntryKind::Directory { mode: 0o755 },
        }
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        for path in ["", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\0b"] {
            assert!(check(None, &entry(path.as_bytes())).is_err(), "{path:?}");
        }
        assert!(check(None, &entry(&[b'a'; 5000])).is_err());
        assert!(check(None, &entry(b"a/..b/c.")).is_ok());
    }

    #[test]
    fn listings_are_sorted_by_components() {
        assert!(check(Some(&entry(b"a")), &entry(b"a/b")).is_ok());
        assert!(check(Some(&entry(b"a/b")), &entry(b"a-b")).is_ok());
        assert!(check(Some(&entry(b"a")), &entry(b"a")).is_err());
        assert!(check(Some(&entry(b"b")), &entry(b"a")).is_err());
    }
}
