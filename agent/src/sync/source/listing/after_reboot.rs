//! Compares a listing of an earlier boot with its tree.
//!
//! The agent does not sync a source, because that would take longer than many
//! builds. After a power cut a listing may be complete although its files are
//! empty.

use super::{Known, Listing};
use crate::images::digest::Digest;
use crate::sync::source::TreeDir;

/// Removes the paths whose entry in the tree differs from the listing.
pub(super) fn compare(listing: &mut Listing, tree: &TreeDir) {
    listing.retain(|path, known| match known {
        Known::Directory { .. } => tree.is_directory(path),
        Known::Symlink { target } => tree.target(path).as_ref() == Some(target),
        Known::File { digest, .. } => {
            let held = tree.read(path).and_then(Digest::of_all);
            held.is_ok_and(|held| held == *digest)
        }
    });
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use protocol::source::{Entry, EntryKind};

    use super::*;

    #[test]
    fn what_has_lost_its_content_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let tree = TreeDir::open(folder.path()).unwrap();
        let mut listing = Listing::default();
        let kind = |content: &[u8]| EntryKind::File {
            size: content.len() as u64,
            mode: 0o644,
            modified: 1,
            stamp: 1,
        };
        let mut add = |path: &[u8], kind, digest| {
            let path = path.to_vec();
            listing.add(&Entry { path, kind }, digest);
        };
        for (name, held) in [("whole", "text"), ("empty", ""), ("other", "texT")] {
            add(name.as_bytes(), kind(b"text"), Some(Digest::of(b"text")));
            fs_err::write(folder.path().join(name), held).unwrap();
        }
        add(b"missing", kind(b"text"), Some(Digest::of(b"text")));
        for (name, target) in [("link", "whole"), ("wrong", "other")] {
            let target = target.as_bytes().to_vec();
            add(name.as_bytes(), EntryKind::Symlink { target }, None);
            std::os::unix::fs::symlink("whole", folder.path().join(name)).unwrap();
        }
        for name in ["folder", "gone"] {
            add(name.as_bytes(), EntryKind::Directory { mode: 0o755 }, None);
        }
        fs_err::create_dir(folder.path().join("folder")).unwrap();
        compare(&mut listing, &tree);
        let mut left = Vec::new();
        listing.retain(|path, _| {
            left.push(path.to_owned());
            true
        });
        assert_eq!(left, [&b"folder"[..], b"link", b"whole"]);
    }
}
