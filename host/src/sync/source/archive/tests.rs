//! Tests of archives as tools write them, and of invalid ones.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod crafted;

use protocol::Failure;

use super::*;
use crate::settings::SourceFilter;
use crafted::{DEFLATED, FAT, Item, NTFS, UNIX, VFAT, zip};

fn listed(archive: &[u8], filter: &SourceFilter) -> Result<SourceTree, SourceError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.zip");
    fs_err::write(&path, archive).unwrap();
    let rules = Rules::of_project(filter, Path::new("project.toml"))?;
    list(&path, &rules)
}

fn tree(items: &[Item]) -> SourceTree {
    listed(&zip(items), &SourceFilter::All).unwrap()
}

/// Returns each path with its kind and mode: `path 100755`.
fn shown(tree: &SourceTree) -> Vec<String> {
    let line = |entry: &Entry| {
        let path = String::from_utf8_lossy(&entry.path);
        match &entry.kind {
            EntryKind::Directory { mode } => format!("{path}/ {mode:o}"),
            EntryKind::File { mode, .. } => format!("{path} {mode:o}"),
            EntryKind::Symlink { target } => {
                format!("{path} -> {}", String::from_utf8_lossy(target))
            }
        }
    };
    tree.entries.iter().map(line).collect()
}

#[test]
fn modes_links_and_folders_are_kept() {
    let tree = tree(&[
        Item::new("bin/run").unix(0o100_755),
        Item::new("secret").unix(0o100_600),
        Item::new("set").unix(0o106_755),
        Item::new("dir/").unix(0o040_750),
        Item::new("dir/link").unix(0o120_777).content(b"../bin/run"),
        Item::new("pipe").unix(0o010_644),
        Item::new("plain").unix(0o644),
        Item::new("a-b").unix(0o100_644),
        Item::new("./a//b").unix(0o100_644),
        Item::new("./").unix(0o040_755),
    ]);
    let expected = [
        "a/ 755",
        "a/b 644",
        "a-b 644",
        "bin/ 755",
        "bin/run 755",
        "dir/ 750",
        "dir/link -> ../bin/run",
        "plain 644",
        "secret 600",
        "set 755",
    ];
    assert_eq!(shown(&tree), expected);
    assert_eq!(tree.skipped, ["pipe"]);
    assert!(tree.folders.is_empty());
}

#[test]
fn archives_without_modes_are_as_with_pack() {
    let read_only = 1;
    let tree = tree(&[
        Item::new("META-INF/").by(FAT, 0),
        Item::new("META-INF/MANIFEST.MF").by(FAT, 0),
        Item::new("v").by(VFAT, read_only),
        Item::new("n").by(NTFS, 0),
        Item::new("n-read").by(NTFS, read_only),
        Item::new("nd/").by(NTFS, 0x10),
        Item::new("none").by(UNIX, 0),
    ]);
    let expected = [
        "META-INF/ 777",
        "META-INF/MANIFEST.MF 777",
        "n 666",
        "n-read 444",
        "nd/ 777",
        "none 777",
        "v 777",
    ];
    assert_eq!(shown(&tree), expected);
}

#[test]
fn a_script_may_come_before_an_archive() {
    let jar = zip(&[Item::new("a").content(b"content")]);
    let executable = [b"#!/bin/bash\nexec java -jar $0\n", &jar[..]].concat();
    let tree = listed(&executable, &SourceFilter::All).unwrap();
    assert_eq!(shown(&tree), ["a 644"]);
}

#[test]
fn rules_of_a_descriptor_count() {
    let items = ["a.txt", "deep/b.txt", "deep/c.md", "other/d.md"].map(Item::new);
    let paths = |filter| {
        let tree = listed(&zip(&items), &filter).unwrap();
        let Content::Archive(archive) = &tree.content else {
            unreachable!("no archive");
        };
        for (entry, file) in tree.entries.iter().zip(&archive.files) {
            let is_file = matches!(entry.kind, EntryKind::File { .. });
            assert_eq!(file.is_some(), is_file);
        }
        assert_eq!(archive.files.len(), tree.entries.len());
        shown(&tree)
    };
    let include = SourceFilter::Include(vec!["*.txt".to_owned()]);
    assert_eq!(paths(include), ["a.txt 644", "deep/ 755", "deep/b.txt 644"]);
    let exclude = SourceFilter::Exclude(vec!["deep/".to_owned()]);
    assert_eq!(
        paths(exclude),
        ["a.txt 644", "other/ 755", "other/d.md 644"]
    );
}

#[test]
fn only_what_has_changed_has_another_stamp() {
    let items = |text| {
        [
            Item::new("a").content(b"same"),
            Item::new("b").content(text),
        ]
    };
    let (one, other) = (tree(&items(b"one")), tree(&items(b"two")));
    assert_eq!(one.changes(&tree(&items(b"one"))), Vec::<String>::new());
    assert_eq!(other.changes(&one), ["b"]);
}

/// Returns the error for an archive.
fn refused(archive: &[u8]) -> String {
    let error = listed(archive, &SourceFilter::All).unwrap_err();
    let failure = Failure::from(error);
    assert!(failure.hint.is_some(), "{failure:?}");
    let (_, words) = failure.message.split_once("app.zip ").unwrap();
    words.to_owned()
}

#[test]
fn what_leads_out_of_an_archive_is_refused() {
    let one = |item: Item| refused(&zip(&[item]));
    let outside = |name: &str| format!("has {name:?}, which leads out of it");
    for name in ["../x", "a/../../x", "a/..", ".."] {
        assert_eq!(one(Item::new(name)), outside(name));
    }
    assert_eq!(one(Item::new("/etc/x")), "has \"/etc/x\", an absolute path");
    let zero = one(Item::new("a\0b"));
    assert!(zero.ends_with("which no file can be called"), "{zero}");
    let long = "a/".repeat(3000);
    assert!(one(Item::new(&long)).ends_with("which no file can be called"));
    let link = |name, target: &[u8]| one(Item::new(name).unix(0o120_777).content(target));
    for target in ["/etc/passwd", "../x", "a/../../x", ""] {
        let said = link("l", target.as_bytes());
        assert!(
            said.starts_with("has the link \"l\", which leads out"),
            "{said}"
        );
    }
    let said = link("a/l", &[b'x'; 5000]);
    assert!(said.ends_with("whose target is too long"), "{said}");
}

#[test]
fn what_is_no_tree_is_refused() {
    let said = |items: &[Item]| refused(&zip(items));
    let twice = [Item::new("a/x"), Item::new("a//x")];
    assert_eq!(said(&twice), "has \"a/x\" twice");
    let both = "has \"a\", which is both a file and a folder";
    assert_eq!(said(&[Item::new("a"), Item::new("a/x")]), both);
    assert_eq!(said(&[Item::new("a/x"), Item::new("a")]), both);
    let link = Item::new("a").unix(0o120_777).content(b"b");
    assert_eq!(said(&[link, Item::new("a/x")]), both);
    let folders = [
        Item::new("a/").unix(0o040_700),
        Item::new("a/").unix(0o040_755),
    ];
    assert_eq!(shown(&tree(&folders)), ["a/ 755"]);
}

#[test]
fn bombs_are_refused() {
    let said = |items: &[Item]| refused(&zip(items));
    let large = said(&[Item::new("zeros").sizes(1000, u32::MAX - 1)]);
    assert!(large.starts_with("has entries that share"), "{large}");
    let mut zeros = Item::new("zeros").content(&[0; 3000]);
    zeros.size = Some(u32::MAX - 1);
    let large = said(&[zeros]);
    assert!(
        large.starts_with("would unpack to more than 42949"),
        "{large}"
    );
}

#[test]
fn other_methods_and_secrets_are_refused() {
    let mut item = Item::new("a");
    item.method = 14;
    let said = refused(&zip(&[item]));
    assert!(said.contains("another method than deflate"), "{said}");
    let mut item = Item::new("a");
    item.flags = 1;
    let said = refused(&zip(&[item]));
    assert_eq!(said, "has \"a\", which is encrypted");
}

#[test]
fn what_is_cut_off_is_an_error() {
    let whole = zip(&[
        Item::new("a").content(b"some text"),
        Item::new("l").unix(0o120_777).content(b"a"),
    ]);
    assert_eq!(tree(&[]).entries, []);
    for length in 0..whole.len() {
        refused(&whole[..length]);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app");
    fs_err::write(&path, "#!/bin/sh\necho no archive\n").unwrap();
    let error = list(&path, &Rules::default()).unwrap_err();
    let said = error.to_string();
    assert!(
        said.ends_with("app is neither a folder nor a zip archive"),
        "{said}"
    );
}

#[test]
fn a_file_is_read_to_the_end_that_is_announced() {
    let mut buffer = [0; 4];
    read_part(&mut &b"1234"[..], &mut buffer, 4).unwrap();
    read_part(&mut &b"12345"[..], &mut buffer, 5).unwrap();
    read_part(&mut &b"12345"[..], &mut buffer, 4).unwrap_err();
    read_part(&mut &b"123"[..], &mut buffer, 4).unwrap_err();
    read_part(&mut &b""[..], &mut [], 0).unwrap();
    let packed = zip(&[Item::new("a").content(b"hello").deflated()]);
    assert!(packed.windows(2).any(|it| it == DEFLATED.to_le_bytes()));
}
