//! Layers of images.

use std::path::Path;

use agent::images::digest::Hasher;
use agent::store::layer::{Compression, extract, stack};

/// Bytes of a tar header, and of what an entry's content is padded to.
const BLOCK: usize = 512;
/// Where a header has its checksum.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// A stream of headers whose checksums are right, which no fuzzer guesses.
pub(crate) fn tar_headers(bytes: &[u8]) {
    let mut archive = bytes.to_vec();
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    for block in archive.chunks_mut(BLOCK) {
        if block.iter().any(|byte| *byte != 0) {
            block[CHECKSUM].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    apply(&[archive]);
}

/// Entries with names, links and kinds of the fuzzer's choice, in an archive
/// that is well formed. Each entry is `KIND MODE PATH NUL LINK NUL`; those of the
/// upper half of kinds are in a layer above the others.
pub(crate) fn layer_apply(bytes: &[u8]) {
    let mut archives = [(); 2].map(|()| tar::Builder::new(Vec::new()));
    let mut rest = bytes;
    while let [kind, mode, after @ ..] = rest {
        let mut parts = after.splitn(3, |byte| *byte == 0);
        let path = parts.next().unwrap_or_default();
        let link = parts.next().unwrap_or_default();
        rest = parts.next().unwrap_or_default();
        let mut header = tar::Header::new_gnu();
        // A mode of one byte has all bits that matter for others and the group.
        header.set_mode(u32::from(*mode) << 4);
        header.set_entry_type(entry_type(*kind));
        put(&mut header.as_old_mut().name, path);
        put(&mut header.as_old_mut().linkname, link);
        let content: &[u8] = if *kind % 8 == 0 { link } else { b"" };
        header.set_size(content.len() as u64);
        header.set_cksum();
        let archive = &mut archives[usize::from(*kind >> 7)];
        archive.append(&header, content).expect("memory takes all");
    }
    apply(&archives.map(|it| it.into_inner().expect("memory takes all")));
}

fn entry_type(kind: u8) -> tar::EntryType {
    match kind % 8 {
        0 => tar::EntryType::Regular,
        1 => tar::EntryType::Directory,
        2 => tar::EntryType::Symlink,
        3 => tar::EntryType::Link,
        4 => tar::EntryType::Fifo,
        5 => tar::EntryType::Char,
        6 => tar::EntryType::Continuous,
        _ => tar::EntryType::XGlobalHeader,
    }
}

fn put(field: &mut [u8], bytes: &[u8]) {
    let length = bytes.len().min(field.len());
    field[..length].copy_from_slice(&bytes[..length]);
}

/// Extracts archives beside a canary, which must not change, and stacks them.
fn apply(archives: &[Vec<u8>]) {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let canary = directory.path().join("canary");
    fs_err::create_dir(&canary).expect("a directory can be made");
    fs_err::write(canary.join("file"), "alive").expect("a file can be written");
    let before = tree(&canary);
    let mut layers = Vec::new();
    for (number, archive) in archives.iter().enumerate() {
        let root = directory.path().join(format!("root-{number}"));
        // What is refused is as good as what is not: it must be so without harm.
        if let Ok(extraction) = extract(&**archive, Compression::None, &root, Hasher::new()) {
            let implied = extraction.implied;
            layers.push(stack::Layer { root, implied });
        }
    }
    let scratch = directory.path().join("root-above");
    fs_err::create_dir(&scratch).expect("a directory can be made");
    // Without root, a directory may forbid to look into it.
    let _ = stack::lowers(&layers, &scratch);
    assert_eq!(before, tree(&canary), "the canary has changed");
    let mut names = tree(directory.path());
    names.retain(|entry| !entry.0.starts_with("root-"));
    assert!(names.len() <= 3, "something is beside the roots: {names:?}");
    // Directories that the archive made unreadable would stay.
    let removed = agent::store::remove_tree(directory.path());
    removed.expect("what was extracted can be removed");
}

/// Paths, with mode, owner, size and time of change.
fn tree(root: &Path) -> Vec<(String, u32, u32, u64, i64)> {
    use std::os::unix::fs::MetadataExt as _;
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let Ok(metadata) = fs_err::symlink_metadata(&path) else {
            continue;
        };
        if metadata.is_dir() {
            let entries = fs_err::read_dir(&path).into_iter().flatten().flatten();
            open.extend(entries.map(|entry| entry.path()));
        }
        let name = path.strip_prefix(root).unwrap_or(&path);
        found.push((
            name.to_string_lossy().into_owned(),
            metadata.mode(),
            metadata.uid(),
            metadata.len(),
            metadata.ctime_nsec(),
        ));
    }
    found.sort();
    found
}
