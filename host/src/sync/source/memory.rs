//! A source tree that locald makes in memory.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;

use protocol::source::{Entry, EntryKind};

use super::{Content, SourceTree};
use crate::settings::BuildpackFile;

/// Makes a tree of files. They must be sorted by path, and at most one folder
/// deep. `root` is the file that defines them.
pub(crate) fn of_memory(root: &Path, files: impl IntoIterator<Item = BuildpackFile>) -> SourceTree {
    let (mut entries, mut contents) = (Vec::new(), Vec::new());
    for file in files {
        if let Some((folder, _)) = file.path.split_once('/')
            && !entries
                .iter()
                .any(|it: &Entry| it.path == folder.as_bytes())
        {
            let kind = EntryKind::Directory { mode: 0o755 };
            let path = folder.into();
            entries.push(Entry { path, kind });
            contents.push(Vec::new());
        }
        entries.push(Entry {
            path: file.path.into(),
            kind: EntryKind::File {
                size: file.content.len() as u64,
                mode: file.mode,
                modified: 0,
                stamp: stamp(&file.content),
            },
        });
        contents.push(file.content);
    }
    SourceTree {
        entries,
        folders: Vec::new(),
        content: Content::Memory(contents),
        ..SourceTree::new(root)
    }
}

fn stamp(content: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish() | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_before_what_is_in_them() {
        let file = |path, content: &str| BuildpackFile {
            path,
            mode: 0o644,
            content: content.into(),
        };
        let files = vec![file("a/b", "1"), file("a/c", "22"), file("d", "")];
        let tree = of_memory(Path::new("x"), files);
        let paths: Vec<_> = tree.entries.iter().map(|it| &it.path[..]).collect();
        assert_eq!(paths, [&b"a"[..], b"a/b", b"a/c", b"d"]);
        let other = of_memory(Path::new("x"), vec![file("a/b", "2")]);
        assert_eq!(other.changes(&tree), ["a/b", "a/c", "d"]);
    }
}
