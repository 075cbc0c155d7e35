//! Tests with well-formed and with malicious archives.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod attributes;
mod bounds;
mod formats;
mod links;
mod stacks;
mod whiteouts;

use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::Mutex;

use tar::{Builder, EntryType, Header};

use super::*;
use crate::images::digest::Digest;
use crate::kernel::namespace::Privilege;

/// A builder of archives.
struct Layer {
    archive: Builder<Vec<u8>>,
    /// The mode of the files that follow.
    mode: u32,
}

fn extract(
    archive: impl BufRead + Send,
    compression: Compression,
    root: &Path,
) -> Result<Extraction, LayerError> {
    super::extract(archive, compression, root, Hasher::new())
}

impl Layer {
    fn new() -> Self {
        Self {
            archive: Builder::new(Vec::new()),
            mode: 0o644,
        }
    }

    /// Adds an entry by its raw name. No tool need write such a name.
    fn raw(mut self, kind: EntryType, name: &[u8], link: &[u8], content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(if kind == EntryType::Directory {
            0o755
        } else {
            self.mode
        });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_000_000_000);
        let fields = header.as_gnu_mut().unwrap();
        fields.name[..name.len()].copy_from_slice(name);
        fields.linkname[..link.len()].copy_from_slice(link);
        header.set_cksum();
        self.archive.append(&header, content).unwrap();
        self
    }

    fn with_mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    fn file(self, name: &str, content: &str) -> Self {
        self.raw(EntryType::Regular, name.as_bytes(), b"", content.as_bytes())
    }

    fn directory(self, name: &str) -> Self {
        self.raw(EntryType::Directory, name.as_bytes(), b"", b"")
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.raw(EntryType::Symlink, name.as_bytes(), target.as_bytes(), b"")
    }

    fn hardlink(self, name: &str, target: &str) -> Self {
        self.raw(EntryType::Link, name.as_bytes(), target.as_bytes(), b"")
    }

    /// Adds a PAX header for the next entry.
    fn pax(mut self, records: &[(&str, &[u8])]) -> Self {
        self.archive
            .append_pax_extensions(records.iter().copied())
            .unwrap();
        self
    }

    fn bytes(self) -> Vec<u8> {
        self.archive.into_inner().unwrap()
    }

    fn extract(self) -> Extracted {
        let directory = tempfile::tempdir().unwrap();
        fs_err::write(directory.path().join("outside"), "untouched").unwrap();
        let root = directory.path().join("root");
        let result = extract(&*self.bytes(), Compression::None, &root);
        let outside = fs_err::read_to_string(directory.path().join("outside"));
        assert_eq!(outside.unwrap(), "untouched");
        let beside = fs_err::read_dir(directory.path()).unwrap().count();
        assert_eq!(beside, 2, "something was written outside of the root");
        Extracted { directory, result }
    }

    /// Why the archive is refused.
    fn refusal(self) -> String {
        self.extract().result.unwrap_err().to_string()
    }
}

struct Extracted {
    directory: tempfile::TempDir,
    result: Result<Extraction, LayerError>,
}

impl Extracted {
    fn path(&self, path: &str) -> PathBuf {
        if let Err(error) = &self.result {
            panic!("{error}");
        }
        self.directory.path().join("root").join(path)
    }

    fn text(&self, path: &str) -> String {
        fs_err::read_to_string(self.path(path)).unwrap()
    }

    fn is_opaque(&self, path: &str) -> bool {
        let name = match Privilege::of_this_process().unwrap() {
            Privilege::Root => "trusted.overlay.opaque",
            Privilege::Rootless => "user.overlay.opaque",
        };
        let mut value = [0; 8];
        rustix::fs::getxattr(self.path(path), name, &mut value).is_ok()
    }

    fn is_whiteout(&self, path: &str) -> bool {
        let metadata = fs_err::symlink_metadata(self.path(path)).unwrap();
        metadata.file_type().is_char_device() && metadata.rdev() == 0
    }
}

#[test]
fn files_links_modes_and_times_are_those_of_the_archive() {
    let extracted = Layer::new()
        .directory("bin/")
        .file("bin/tool", "#!/bin/sh\n")
        .symlink("bin/link", "tool")
        .hardlink("bin/same", "bin/tool")
        .symlink("absolute", "/etc/passwd")
        .file("without/parents", "x")
        .extract();
    assert_eq!(extracted.text("bin/link"), "#!/bin/sh\n");
    let inode = |path: &str| fs_err::metadata(extracted.path(path)).unwrap().ino();
    assert_eq!(inode("bin/same"), inode("bin/tool"));
    let metadata = fs_err::metadata(extracted.path("bin/tool")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o644);
    assert_eq!(metadata.mtime(), 1_000_000_000);
    assert_eq!(
        fs_err::metadata(extracted.path("bin")).unwrap().mtime(),
        1_000_000_000
    );
    let target = fs_err::read_link(extracted.path("absolute")).unwrap();
    assert_eq!(target, PathBuf::from("/etc/passwd"));
    assert_eq!(extracted.text("without/parents"), "x");
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in ["../outside", "a/../../outside", "..", "/../outside", "a/.."] {
        let reason = Layer::new().file(name, "harm").refusal();
        assert!(reason.contains("\"..\""), "{name}: {reason}");
    }
    let reason = Layer::new().hardlink("x", "../outside").refusal();
    assert!(reason.contains("\"..\""), "{reason}");
    let path: &[u8] = b"../outside";
    let reason = Layer::new()
        .pax(&[("path", path)])
        .file("x", "harm")
        .refusal();
    assert!(reason.contains("\"..\""), "{reason}");
}

#[test]
fn an_absolute_name_is_below_the_root() {
    let extracted = Layer::new().file("/etc/name", "inside").extract();
    assert_eq!(extracted.text("etc/name"), "inside");
}

#[test]
fn links_never_lead_out() {
    let extracted = Layer::new()
        .symlink("up", "../..")
        .file("up/outside", "inside")
        .symlink("absolute", "/")
        .file("absolute/other", "inside")
        .extract();
    // The kernel resolves both at the root.
    assert_eq!(extracted.text("outside"), "inside");
    assert_eq!(extracted.text("other"), "inside");
    // A hard link to a link links the link.
    let extracted = Layer::new()
        .symlink("link", "../outside")
        .hardlink("hard", "link")
        .extract();
    assert!(extracted.path("hard").is_symlink());
}

#[test]
fn a_file_never_follows_a_link_in_its_own_place() {
    let extracted = Layer::new()
        .symlink("x", "../outside")
        .file("x", "a file now")
        .extract();
    assert!(!extracted.path("x").is_symlink());
    assert_eq!(extracted.text("x"), "a file now");
    let reason = Layer::new().hardlink("x", "absent").refusal();
    assert!(reason.contains("does not hold"), "{reason}");
}

#[test]
fn entries_in_place_of_others() {
    let extracted = Layer::new()
        .file("a", "file")
        .directory("a/")
        .file("a/b", "below")
        .directory("c/")
        .file("c", "file")
        .file("d", "first")
        .file("d", "second")
        .extract();
    assert_eq!(extracted.text("a/b"), "below");
    assert_eq!(extracted.text("c"), "file");
    assert_eq!(extracted.text("d"), "second");
    // Kaniko hides the entries of a directory, then replaces it with a link.
    let extracted = Layer::new()
        .directory("e/f/g")
        .file("e/.wh.h", "")
        .file("e/f/g/h", "")
        .symlink("e", "a")
        .file("i/j/k", "")
        .file("i", "a file now")
        .extract();
    assert!(extracted.path("e").is_symlink());
    assert_eq!(extracted.text("i"), "a file now");
    let reason = Layer::new().file(".", "").refusal();
    assert!(reason.contains("root directory"), "{reason}");
}

#[test]
fn a_directory_may_be_a_link_of_the_same_layer() {
    let extracted = Layer::new()
        .directory("usr/lib/")
        .symlink("lib", "usr/lib")
        .file("lib/libc.so", "elf")
        .extract();
    assert_eq!(extracted.text("usr/lib/libc.so"), "elf");
    assert!(extracted.path("lib").is_symlink());
}

#[test]
fn long_names_and_fractions_of_seconds() {
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(200));
    let extracted = Layer::new()
        .pax(&[("path", long.as_bytes()), ("mtime", b"1234567890.5")])
        .file("short", "x")
        .extract();
    assert_eq!(extracted.text(&long), "x");
    let metadata = fs_err::metadata(extracted.path(&long)).unwrap();
    assert_eq!(
        (metadata.mtime(), metadata.mtime_nsec()),
        (1_234_567_890, 500_000_000)
    );
}

#[test]
fn what_takes_memory_or_lies_about_sizes_is_refused() {
    let huge = vec![b'x'; 1024 * 1024 + 1];
    let layer = Layer::new().raw(EntryType::GNULongName, b"././@LongLink", b"", &huge);
    assert!(layer.file("x", "").refusal().contains("1 MiB"));
    for size in [&b"9999"[..], b"-1", b"x"] {
        let layer = Layer::new().pax(&[("size", size)]).file("x", "four");
        assert!(layer.refusal().contains("damaged"));
    }
}

#[test]
fn devices_are_skipped_and_pipes_are_kept() {
    let extracted = Layer::new()
        .raw(EntryType::Char, b"null", b"", b"")
        .raw(EntryType::Block, b"disk", b"", b"")
        .raw(EntryType::Fifo, b"pipe", b"", b"")
        .extract();
    assert!(!extracted.path("null").exists() && !extracted.path("disk").exists());
    let pipe = fs_err::symlink_metadata(extracted.path("pipe")).unwrap();
    assert!(pipe.file_type().is_fifo());
}

#[test]
fn a_device_that_is_skipped_is_told() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let writer = Mutex::new(log.reopen().unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();
    let layer = Layer::new().raw(EntryType::Char, b"odd/null", b"", b"");
    let extracted = tracing::subscriber::with_default(subscriber, || layer.extract());
    assert!(!extracted.path("odd/null").exists());
    let said = fs_err::read_to_string(log.path()).unwrap();
    assert!(said.contains("WARN") && said.contains("odd/null"), "{said}");
}

#[test]
fn each_compression_gives_the_same_diff_id() {
    let plain = Layer::new().file("x", "content").bytes();
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let (half, rest) = plain.split_at(plain.len() / 2);
    // Two members, as pigz and stargz write them.
    let members = [gzip(half), gzip(rest)].concat();
    let zstd = zstd::encode_all(&*plain, 1).unwrap();
    let expected = DiffId(Digest::of(&plain));
    for (bytes, compression) in [
        (plain, Compression::None),
        (members, Compression::Gzip),
        (zstd, Compression::Zstd),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        assert_eq!(
            extract(&*bytes, compression, &root).unwrap().diff_id,
            expected
        );
        assert_eq!(fs_err::read_to_string(root.join("x")).unwrap(), "content");
        let cut = &bytes[..bytes.len() * 2 / 3];
        let again = directory.path().join("again");
        let cut = extract(cut, compression, &again);
        assert!(
            !cut.is_ok_and(|it| it.diff_id == expected),
            "{compression:?}"
        );
    }
}

#[test]
fn a_root_that_exists_is_not_used() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    symlink("/", &root).unwrap();
    let bytes = Layer::new().file("x", "").bytes();
    assert!(extract(&*bytes, Compression::None, &root).is_err());
}

/// GNU tar extracts the same archive, for comparison.
#[test]
fn gnu_tar_reads_the_same_tree() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("source");
    fs_err::create_dir_all(source.join("a/b")).unwrap();
    fs_err::write(source.join("a/b/file"), "x".repeat(70_000)).unwrap();
    fs_err::write(source.join("a/ünïcode name"), "").unwrap();
    fs_err::write(source.join("a").join("l".repeat(180)), "long").unwrap();
    symlink("b/file", source.join("a/link")).unwrap();
    fs_err::hard_link(source.join("a/b/file"), source.join("a/hard")).unwrap();
    let mode = std::fs::Permissions::from_mode(0o2750);
    fs_err::set_permissions(source.join("a/b"), mode).unwrap();
    let tar = |arguments: &[&str]| {
        let mut command = std::process::Command::new("tar");
        let output = command
            .current_dir(directory.path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    };
    let holes = fs_err::File::create(source.join("a/holes")).unwrap();
    for number in 0..30_u64 {
        // Makes more pieces than fit into a header.
        let offset = number * 100_000;
        std::os::unix::fs::FileExt::write_at(holes.file(), b"piece", offset).unwrap();
    }
    holes.set_len(5_000_000).unwrap();
    fs_err::File::create(source.join("a/hole"))
        .unwrap()
        .set_len(300_000)
        .unwrap();
    for (number, options) in [
        &["--format=gnu"][..],
        &["--format=gnu", "--sparse"],
        &["--format=oldgnu", "--sparse"],
        &["--format=pax"],
        &["--format=pax", "--sparse", "--sparse-version=0.0"],
        &["--format=pax", "--sparse", "--sparse-version=0.1"],
        &["--format=pax", "--sparse", "--sparse-version=1.0"],
        &["--format=ustar", "--exclude=lll*"],
        &["--format=v7", "--exclude=lll*"],
    ]
    .into_iter()
    .enumerate()
    {
        let format = &number.to_string();
        let archive = format!("{format}.tar");
        let first = [&["-cf", &archive][..], options, &["-C", "source", "."]];
        tar(&first.concat());
        let root = directory.path().join(format);
        let bytes = fs_err::read(directory.path().join(&archive)).unwrap();
        extract(&*bytes, Compression::None, &root).unwrap();
        let difference = [&["-df", &archive, "-C", format][..]].concat();
        tar(&difference);
    }
}
