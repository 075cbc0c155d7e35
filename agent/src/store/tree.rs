//! Detects whether a layer's tree has changed since its extraction.
//!
//! A layer's digest is that of its archive, which cannot be reproduced from the
//! tree. So the store digests the metadata of each file after the extraction:
//! path, kind, mode, owner, size, time, and the target of a link. The digest
//! reveals files that a power cut left empty, and files that a program changed,
//! added or removed, without a read of gigabytes. It does not reveal a disk
//! that returns other bytes than were written. Only the file system can detect
//! that.
//!
//! The same file lists the directories that the archive omits.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat};

use super::{Store, StoreError};
use crate::images::digest::{DiffId, Digest, Hasher};
use crate::kernel::walk::{Step, Walk, is_directory};
use crate::store::layer::stack;
use crate::store::local_encoding;

/// The digest of a tree, and the paths of its implied directories.
type Noted = (Digest, Vec<Vec<u8>>);

/// The result of a comparison of a tree with its recorded digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeState {
    /// The tree is unchanged since its extraction.
    Whole,
    /// The tree has changed since its extraction.
    Changed,
    /// An earlier version extracted the tree and recorded no digest.
    Unknown,
}

impl Store {
    /// The file that records the digest of a layer's tree.
    fn tree_note(&self, diff_id: &DiffId) -> PathBuf {
        self.root().join("trees").join(diff_id.0.hex())
    }

    /// Records the digest of a tree, before the tree becomes visible as a
    /// layer.
    pub(super) fn note_tree(
        &self,
        diff_id: &DiffId,
        root: &Path,
        implied: &[PathBuf],
    ) -> Result<(), StoreError> {
        let note = self.tree_note(diff_id);
        let digest = digest(root).map_err(|source| StoreError::io("examine", root, source))?;
        let implied = implied.iter().map(|it| it.as_os_str().as_bytes().to_vec());
        let noted: Noted = (digest, implied.collect());
        // One sync covers the file and the tree. A torn file counts as missing.
        local_encoding::encode(&noted)
            .and_then(|bytes| fs_err::write(&note, bytes))
            .map_err(|source| StoreError::io("write", &note, source))
    }

    fn noted(&self, diff_id: &DiffId) -> Option<Noted> {
        local_encoding::decode(&fs_err::read(self.tree_note(diff_id)).ok()?)
    }

    /// The lower directories of overlayfs for `layers`, the uppermost first.
    /// `layers` begins with the lowest. Makes additional directories in
    /// `scratch`.
    ///
    /// An overlay may contain each directory only once. If a layer occurs more
    /// than once, only the uppermost occurrence is used. It covers all the
    /// others.
    pub fn stack<'a>(
        &self,
        diff_ids: impl IntoIterator<Item = &'a DiffId, IntoIter: DoubleEndedIterator>,
        scratch: &Path,
    ) -> Result<Vec<PathBuf>, StoreError> {
        let layer = |diff_id| {
            let noted = self.noted(diff_id);
            let implied = noted.map(|(_, implied)| implied).unwrap_or_default();
            stack::Layer {
                root: self.layer_path(diff_id),
                implied: implied
                    .iter()
                    .map(|it| OsStr::from_bytes(it).into())
                    .collect(),
            }
        };
        let mut seen = HashSet::new();
        let downward = diff_ids.into_iter().rev();
        let mut layers: Vec<_> = downward.filter(|it| seen.insert(*it)).map(layer).collect();
        layers.reverse();
        stack::lowers(&layers, scratch)
            .map_err(|source| StoreError::io("stack layers in", scratch, source))
    }

    /// Compares a layer's tree with its recorded digest.
    pub fn tree_state(&self, diff_id: &DiffId) -> Result<TreeState, StoreError> {
        let Some((noted, _)) = self.noted(diff_id) else {
            return Ok(TreeState::Unknown);
        };
        let root = self.layer_path(diff_id);
        let actual = digest(&root).map_err(|source| StoreError::io("examine", &root, source))?;
        Ok(if actual == noted {
            TreeState::Whole
        } else {
            TreeState::Changed
        })
    }

    /// Removes the tree of a layer. locald extracts it again when needed.
    pub fn remove_tree_of(&self, diff_id: &DiffId) -> Result<(), StoreError> {
        self.remove_whole(&self.layer_path(diff_id))
    }
}

/// The digest over a directory and all entries below it.
fn digest(root: &Path) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    add(b"", None, &rustix::fs::lstat(root)?, &mut hasher);
    let mut walk = Walk::of(root)?;
    add_count(walk.remaining(), &mut hasher);
    while let Some(step) = walk.next()? {
        let Step::Entry(entry) = step else { continue };
        let stat = entry.stat(&walk)?;
        let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        let target = is_link.then(|| entry.target(&walk)).transpose()?;
        add(entry.name.as_bytes(), target.as_deref(), &stat, &mut hasher);
        if is_directory(&stat) {
            add_count(walk.enter(&entry)?, &mut hasher);
        }
    }
    Ok(hasher.finish())
}

/// Adds an entry to the digest. Each field has a fixed length, or its length
/// precedes it.
fn add(name: &[u8], target: Option<&OsStr>, stat: &Stat, hasher: &mut Hasher) {
    for text in [Some(name), target.map(OsStr::as_bytes)]
        .into_iter()
        .flatten()
    {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    // Only the size of a file counts: that of a directory depends on the file
    // system.
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let size = if is_file { stat.st_size } else { 0 };
    for number in [
        u64::from(stat.st_mode),
        u64::from(stat.st_uid),
        u64::from(stat.st_gid),
        size.cast_unsigned(),
        stat.st_mtime.cast_unsigned(),
        stat.st_mtime_nsec,
    ] {
        hasher.update(&number.to_le_bytes());
    }
}

fn add_count(count: usize, hasher: &mut Hasher) {
    hasher.update(&(count as u64).to_le_bytes());
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_layer_that_comes_twice_is_stacked_once_and_uppermost() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let [a, b] = [b"a", b"b"].map(|name| DiffId(Digest::of(name)));
        let stacked = |diff_ids: &[DiffId]| {
            let lowers = store.stack(diff_ids, home.path()).unwrap();
            let names = [a, b].map(|it| (store.layer_path(&it), it));
            let name = |lower| names.iter().find(|(path, _)| *path == lower).unwrap().1;
            lowers.into_iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(stacked(&[a, b, a]), [a, b]);
        assert_eq!(stacked(&[a, b, b]), [b, a]);
        assert_eq!(stacked(&[a, a, a]), [a]);
    }

    #[test]
    fn every_change_of_a_tree_is_seen() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let diff_id = DiffId(Digest::of(b"x"));
        let root = store.layer_path(&diff_id);
        fs_err::create_dir_all(root.join("folder")).unwrap();
        fs_err::write(root.join("folder/file"), "content").unwrap();
        std::os::unix::fs::symlink("file", root.join("folder/link")).unwrap();
        assert_eq!(store.tree_state(&diff_id).unwrap(), TreeState::Unknown);
        let note = || store.note_tree(&diff_id, &root, &[]).unwrap();
        let file = root.join("folder/file");
        let truncate = || {
            let time = fs_err::metadata(&file).unwrap().modified().unwrap();
            let opened = fs_err::OpenOptions::new().write(true).open(&file).unwrap();
            opened.set_len(0).unwrap();
            opened.file().set_modified(time).unwrap();
        };
        let changes: [&dyn Fn(); 5] = [
            &truncate,
            &|| fs_err::write(root.join("more"), "").unwrap(),
            &|| fs_err::remove_file(root.join("folder/link")).unwrap(),
            &|| std::os::unix::fs::symlink("more", root.join("folder/link")).unwrap(),
            &|| {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
                fs_err::set_permissions(root.join("folder"), mode).unwrap();
            },
        ];
        for change in changes {
            note();
            assert_eq!(store.tree_state(&diff_id).unwrap(), TreeState::Whole);
            change();
            assert_eq!(store.tree_state(&diff_id).unwrap(), TreeState::Changed);
        }
        store.remove_tree_of(&diff_id).unwrap();
        assert!(!store.has_layer(&diff_id));
    }
}
