//! Tests with headers that do not follow POSIX exactly. Go's reader, which
//! Docker uses, defines the expected results.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;

use tar::{EntryType, Header};

use super::{Layer, extract};
use crate::store::layer::*;

const END: [u8; 1024] = [0; 1024];

/// One block, its checksum, and content.
fn entry(change: impl FnOnce(&mut [u8; 512]), content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_path("x").unwrap();
    header.set_entry_type(EntryType::Regular);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(7);
    change(header.as_mut_bytes());
    header.set_cksum();
    let padding = vec![0; content.len().next_multiple_of(512) - content.len()];
    [&header.as_bytes()[..], content, &padding].concat()
}

struct Made(tempfile::TempDir);

impl Made {
    fn of(archive: &[u8]) -> Result<Self, LayerError> {
        let directory = tempfile::tempdir().unwrap();
        extract(archive, Compression::None, &directory.path().join("root"))?;
        Ok(Self(directory))
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join("root").join(path)
    }

    fn text(&self, path: &str) -> String {
        fs_err::read_to_string(self.path(path)).unwrap()
    }

    fn metadata(&self, path: &str) -> std::fs::Metadata {
        fs_err::symlink_metadata(self.path(path)).unwrap()
    }
}

#[test]
fn blank_fields_are_zero() {
    // .NET writes a blank size for directories, others blank modes and owners.
    for blank in [b' ', 0] {
        let directory = entry(
            |block| {
                block[124..136].fill(blank);
                block[156] = b'5';
            },
            b"",
        );
        let file = entry(
            |block| {
                block[..8].copy_from_slice(b"file\0\0\0\0");
                block[100..124].fill(blank);
                block[136..148].fill(blank);
            },
            b"content",
        );
        let made = Made::of(&[directory, file, END.to_vec()].concat()).unwrap();
        assert!(made.metadata("x").is_dir());
        let file = made.metadata("file");
        let seen = (file.mode() & 0o7777, file.mtime(), file.len());
        assert_eq!(seen, (0, 0, 7));
    }
}

#[test]
fn numbers_may_be_in_base_256_and_negative() {
    let archive = entry(
        |block| {
            block[108..116].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]);
            block[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
            block[136..148].fill(0xff);
        },
        b"content",
    );
    let made = Made::of(&archive).unwrap();
    assert_eq!(made.text("x"), "content");
    assert_eq!(made.metadata("x").mtime(), -1);
    if rustix::process::geteuid().is_root() {
        assert_eq!(made.metadata("x").uid(), u32::MAX - 1);
    }
    let negative = entry(|block| block[124..136].fill(0xff), b"");
    assert!(Made::of(&negative).is_err());
}

#[test]
fn the_size_of_a_pax_header_counts() {
    for written in [0, 3, 9999] {
        let pax = Layer::new().pax(&[("size", b"7")]).bytes();
        let mut file = entry(|_| (), b"content");
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(&file[..512]);
        header.set_size(written);
        header.set_cksum();
        file[..512].copy_from_slice(header.as_bytes());
        let archive = [
            &pax[..pax.len() - 1024],
            &file,
            &entry(|it| it[0] = b'y', b""),
        ];
        let made = Made::of(&archive.concat()).unwrap();
        assert_eq!(made.text("x"), "content", "{written}");
        assert_eq!(made.text("y"), "");
    }
}

#[test]
fn long_names_may_end_with_many_nuls() {
    let (name, link) = (format!("{0}/{0}", "n".repeat(150)), "l".repeat(301));
    let padded = |text: &str| [text.as_bytes(), &[0; 211]].concat();
    let extracted = Layer::new()
        .raw(
            EntryType::GNULongName,
            b"././@LongLink",
            b"",
            &padded(&name),
        )
        .raw(
            EntryType::GNULongLink,
            b"././@LongLink",
            b"",
            &padded(&link),
        )
        .symlink("short", "short")
        // An empty long name is ignored.
        .raw(EntryType::GNULongName, b"././@LongLink", b"", b"\0")
        .file("kept", "")
        .extract();
    let target = fs_err::read_link(extracted.path(&name)).unwrap();
    assert_eq!(target.to_str().unwrap(), link);
    assert_eq!(extracted.text("kept"), "");
}

#[test]
fn names_need_not_be_text() {
    let name = b"dir\xff/caf\xe9";
    let extracted = Layer::new()
        .raw(EntryType::Regular, name, b"", b"latin")
        .raw(EntryType::Symlink, b"link\xfe", name, b"")
        .extract();
    let link = std::ffi::OsStr::from_bytes(b"link\xfe");
    let target = fs_err::read_link(extracted.path("").join(link)).unwrap();
    assert_eq!(target.as_os_str().as_bytes(), name);
    let text = fs_err::read_to_string(extracted.path("").join(target));
    assert_eq!(text.unwrap(), "latin");
}

#[test]
fn records_without_a_value_and_global_ones_change_nothing() {
    let extracted = Layer::new()
        .pax(&[
            ("path", b""),
            ("linkpath", b""),
            ("mtime", b""),
            ("size", b""),
        ])
        .file("x", "four")
        .raw(
            EntryType::XGlobalHeader,
            b"pax_global_header",
            b"",
            b"18 path=elsewhere\n",
        )
        .file("y", "")
        .pax(&[("path", b"first"), ("path", b"last"), ("mtime", b"-1.5")])
        .file("z", "")
        .extract();
    assert_eq!(extracted.text("x"), "four");
    assert_eq!(extracted.text("y"), "");
    let last = fs_err::metadata(extracted.path("last")).unwrap();
    assert_eq!((last.mtime(), last.mtime_nsec()), (-2, 500_000_000));
}

#[test]
fn archives_end_with_two_blocks_of_zeros_or_less() {
    let file = entry(|_| (), b"content");
    let more = entry(|block| block[0] = b'y', b"");
    for end in [&b""[..], &[0; 512], &END, &[0; 10240]] {
        let made = Made::of(&[&file, end].concat()).unwrap();
        assert_eq!(made.text("x"), "content");
    }
    // The last block need not be whole.
    assert_eq!(Made::of(&file[..512 + 7]).unwrap().text("x"), "content");
    // Only the first of two concatenated archives is read.
    let made = Made::of(&[&file, &END[..], &more, &END].concat()).unwrap();
    assert!(fs_err::symlink_metadata(made.path("y")).is_err());
    for damaged in [
        [&file, &END[..512], &more].concat(),
        file[..512 + 6].to_vec(),
        file[..300].to_vec(),
        [&file, &END[..600]].concat(),
    ] {
        assert!(Made::of(&damaged).is_err(), "{}", damaged.len());
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a plain table")]
fn kinds_and_prefixes_of_old_and_odd_programs() {
    let named = |block: &mut [u8; 512], name: &[u8]| block[..name.len()].copy_from_slice(name);
    let archive = [
        // Before POSIX: no magic, no kind, a directory by its slash.
        entry(
            |block| {
                named(block, b"old/");
                block[156] = 0;
                block[257..].fill(0);
            },
            b"",
        ),
        entry(|block| named(block, b"old/x"), b"old"),
        entry(|block| named(block, b"file/"), b"by POSIX"),
        entry(
            |block| {
                named(block, b"contiguous");
                block[156] = b'7';
            },
            b"7",
        ),
        // A version that is not POSIX's.
        entry(
            |block| {
                named(block, b"name");
                block[263..265].fill(b' ');
                block[345..352].copy_from_slice(b"in/here");
            },
            b"prefix",
        ),
        // star has times after a shorter prefix.
        entry(
            |block| {
                named(block, b"name");
                block[345..476].fill(b's');
                block[400] = b'/';
                block[476..488].copy_from_slice(b"00000000007\0");
                block[508..].copy_from_slice(b"tar\0");
            },
            b"star",
        ),
        // Go before 1.8 wrote a prefix into a GNU header.
        entry(
            |block| {
                named(block, b"name");
                block[257..265].copy_from_slice(b"ustar  \0");
                block[345..354].copy_from_slice(b"by/old/go");
            },
            b"go",
        ),
        entry(
            |block| {
                named(block, b"times");
                block[257..265].copy_from_slice(b"ustar  \0");
                block[345..357].copy_from_slice(b"00000000007\0");
            },
            b"gnu",
        ),
    ];
    let made = Made::of(&archive.concat()).unwrap();
    assert!(made.metadata("old").is_dir());
    for (path, text) in [
        ("old/x", "old"),
        ("file", "by POSIX"),
        ("contiguous", "7"),
        ("in/here/name", "prefix"),
        ("by/old/go/name", "go"),
        ("times", "gnu"),
    ] {
        assert_eq!(made.text(path), text);
    }
    let star = format!("{}/{}/name", "s".repeat(55), "s".repeat(75));
    assert_eq!(made.text(&star), "star");
}

#[test]
fn checksums_are_right_and_may_be_of_signed_bytes() {
    let mut archive = entry(|block| block[1] = 0xe9, b"");
    let sum: u32 = archive[..512].iter().map(|byte| u32::from(*byte)).sum();
    let field: u32 = archive[148..156].iter().map(|byte| u32::from(*byte)).sum();
    let signed = sum - field + 8 * 32 - 256;
    archive[148..156].copy_from_slice(format!("{signed:06o}\0 ").as_bytes());
    Made::of(&archive).unwrap();
    archive[148] ^= 1;
    let error = Made::of(&archive).err().unwrap();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "the checksum of a header is wrong");
}

#[test]
fn maps_of_sparse_files_cannot_lie() {
    let sparse = |records: &[(&str, &[u8])]| Layer::new().pax(records).file("x", "abcdef");
    let made = sparse(&[("GNU.sparse.map", b"2,3,10,3"), ("GNU.sparse.size", b"20")]).extract();
    assert_eq!(made.text("x"), "\0\0abc\0\0\0\0\0def\0\0\0\0\0\0\0");
    let maps: [&[(&str, &[u8])]; 9] = [
        // Pieces that overlap, are out of order, exceed the size, or overflow.
        &[("GNU.sparse.map", b"2,3,4,3"), ("GNU.sparse.size", b"20")],
        &[("GNU.sparse.map", b"10,3,2,3"), ("GNU.sparse.size", b"20")],
        &[("GNU.sparse.map", b"2,3,10,3"), ("GNU.sparse.size", b"12")],
        &[
            ("GNU.sparse.map", b"2,18446744073709551615"),
            ("GNU.sparse.size", b"20"),
        ],
        // A piece that is longer than the stored content.
        &[("GNU.sparse.map", b"2,30"), ("GNU.sparse.size", b"40")],
        // A map that is malformed.
        &[("GNU.sparse.map", b"2,3,10"), ("GNU.sparse.size", b"20")],
        &[("GNU.sparse.map", b"-2,3"), ("GNU.sparse.size", b"20")],
        &[
            ("GNU.sparse.offset", b"2"),
            ("GNU.sparse.offset", b"3"),
            ("GNU.sparse.size", b"20"),
        ],
        &[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0")],
    ];
    for records in maps {
        assert!(sparse(records).extract().result.is_err(), "{records:?}");
    }
    let star = entry(|block| block[156] = b'S', b"abcdef");
    assert!(Made::of(&star).is_err());
    let version = [("GNU.sparse.major", &b"1"[..]), ("GNU.sparse.minor", b"0")];
    for map in ["99999999999999999999\n", "5\n1\n", "18446744073709551615\n"] {
        let content = format!("{map:0<512}");
        let layer = Layer::new().pax(&version).file("x", &content);
        assert!(layer.extract().result.is_err(), "{map}");
    }
    let records: &[(&str, &[u8])] = &[("GNU.sparse.map", b"0,0"), ("GNU.sparse.size", b"20")];
    let directory = Layer::new().pax(records).directory("x/");
    assert!(directory.refusal().contains("holes"));
}
