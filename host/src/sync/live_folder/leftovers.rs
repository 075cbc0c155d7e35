//! Removes the partial files that a killed shell left in the folder.

use std::ffi::OsStr;
use std::path::Path;

use crate::sync::source::PART;

/// The number of random characters in the name of such a file.
const UNIQUE: usize = 6;

/// Removes the partial files. Only the shell that keeps the folder in step may
/// call this: another shell could lose its own partial files.
pub(super) fn remove<'a>(folders: impl Iterator<Item = &'a Path>) {
    for folder in folders {
        let entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| is_part(&entry.file_name())) {
            if let Err(error) = fs_err::remove_file(entry.path()) {
                tracing::debug!(%error, "residue");
            }
        }
    }
}

fn is_part(name: &OsStr) -> bool {
    let unique = name.to_str().and_then(|name| name.strip_prefix(PART));
    let is_ours = |it: &str| it.len() == UNIQUE && it.bytes().all(|it| it.is_ascii_alphanumeric());
    unique.is_some_and(is_ours)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn only_what_had_not_arrived_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let part = tempfile::Builder::new()
            .prefix(PART)
            .tempfile_in(&folder)
            .unwrap();
        part.keep().unwrap();
        for name in ["a", ".locald-part-", ".locald-part-notes.txt"] {
            fs_err::write(folder.path().join(name), "").unwrap();
        }
        remove([folder.path()].into_iter());
        let entries = fs_err::read_dir(folder.path()).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|it| it.file_name()).collect();
        names.sort();
        assert_eq!(names, [".locald-part-", ".locald-part-notes.txt", "a"]);
    }
}
