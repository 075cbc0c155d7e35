//! Tests with archives that exhaust memory, time or space, and with damaged
//! ones.

use std::io::{Cursor, Write as _};
use std::process::Command;

use tar::{EntryType, Header};

use super::{Layer, extract};
use crate::images::digest::Digest;
use crate::store::layer::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn extract_at(
    archive: impl Read + Send,
    compression: Compression,
) -> Result<Extraction, LayerError> {
    let directory = tempfile::tempdir().unwrap();
    let archive = BufReader::new(archive);
    extract(archive, compression, &directory.path().join("root"))
}

/// A header that announces more content than the archive holds.
fn announcing(kind: EntryType, size: u64) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_path("x").unwrap();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// An endless stream of zeros that counts the bytes read from it.
struct Endless<'a> {
    begin: Cursor<Vec<u8>>,
    read: &'a mut u64,
}

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut count = self.begin.read(buffer)?;
        if count == 0 {
            buffer.fill(0);
            count = buffer.len();
        }
        *self.read += count as u64;
        if *self.read > 1 << 28 {
            return Err(io::Error::other("it is read on and on"));
        }
        Ok(count)
    }
}

fn refused_after(begin: Vec<u8>) -> (String, u64) {
    let mut read = 0;
    let stream = Endless {
        begin: Cursor::new(begin),
        read: &mut read,
    };
    let refused = extract_at(stream, Compression::None).unwrap_err();
    (refused.to_string(), read)
}

#[test]
fn a_name_of_a_gibibyte_is_not_read() {
    for kind in [
        EntryType::GNULongName,
        EntryType::GNULongLink,
        EntryType::XHeader,
    ] {
        let (refused, read) = refused_after(announcing(kind, 1 << 30));
        assert!(refused.contains("1 MiB"), "{refused}");
        assert!(read < 4 << 20, "{read} bytes were read");
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    for kind in [EntryType::Regular, EntryType::XGlobalHeader] {
        for size in [65 << 30, u64::MAX / 2] {
            let (refused, read) = refused_after(announcing(kind, size));
            assert!(refused.contains("64 GiB"), "{kind:?}: {refused}");
            assert!(read <= 1 << 20, "{read} bytes were read");
        }
    }
    let sparse = Layer::new().pax(&[
        ("GNU.sparse.map", b"0,0"),
        ("GNU.sparse.size", b"9223372036854775807"),
    ]);
    assert!(sparse.file("x", "").refusal().contains("64 GiB"));
}

/// The archive stores no content for these entries. Go's reader, which Docker
/// uses, expects none.
#[test]
fn a_size_of_what_has_none_is_ignored() {
    for kind in [EntryType::Symlink, EntryType::Directory, EntryType::Char] {
        let mut archive = announcing(kind, 65 << 30);
        if kind == EntryType::Symlink {
            archive[157] = b'y';
            let mut header = Header::new_old();
            header.as_mut_bytes().copy_from_slice(&archive);
            header.set_cksum();
            archive = header.as_bytes().to_vec();
        }
        let rest = Layer::new().file("z", "after").bytes();
        extract_at(&*[archive, rest].concat(), Compression::None).unwrap();
    }
}

/// The same bytes, again and again.
struct Repeated {
    bytes: Vec<u8>,
    at: usize,
    times: u64,
}

impl Read for Repeated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.bytes.len() {
            (self.at, self.times) = (0, self.times - 1);
        }
        if self.times == 0 {
            return Ok(0);
        }
        let count = (&self.bytes[self.at..]).read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

/// Counts entries that leave no file, too.
#[test]
fn more_entries_than_a_layer_may_have_are_refused() {
    let stream = Repeated {
        bytes: announcing(EntryType::XGlobalHeader, 0).repeat(1000),
        at: 0,
        times: 5001,
    };
    let refused = extract_at(stream, Compression::None).unwrap_err();
    assert!(refused.to_string().contains("5 million"), "{refused}");
}

/// The digest covers the bytes after the end of an archive. Their number is
/// limited.
#[test]
fn what_follows_the_end_has_an_end() {
    let (refused, read) = refused_after(Layer::new().file("x", "").bytes());
    assert!(refused.contains("follow its end"), "{refused}");
    assert!(read < 66 << 20, "{read} bytes were read");
}

#[test]
fn damaged_gzip_is_refused() {
    let plain = Layer::new().file("x", &"content ".repeat(1000)).bytes();
    let packed = gzip(&plain);
    let garbage = [&packed[..], b"garbage after the end"].concat();
    assert!(extract_at(&*garbage, Compression::Gzip).is_err());
    for length in [packed.len() - 1, packed.len() - 8, packed.len() / 2, 5] {
        let cut = extract_at(&packed[..length], Compression::Gzip);
        assert!(cut.is_err(), "cut at {length}");
    }
    let second_is_cut = [&packed[..], &gzip(&[0; 1024])[..10]].concat();
    assert!(extract_at(&*second_is_cut, Compression::Gzip).is_err());
    let mut wrong = packed.clone();
    *wrong.last_mut().unwrap() ^= 1;
    assert!(extract_at(&*wrong, Compression::Gzip).is_err());
    let members = extract_at(&*[packed, gzip(&[0; 512])].concat(), Compression::Gzip);
    let all = [&plain[..], &[0; 512]].concat();
    assert_eq!(members.unwrap().diff_id.0, Digest::of(&all));
}

#[test]
fn names_that_are_empty_or_hold_a_nul_are_refused() {
    let nul: &[u8] = b"a\0b";
    let layer = Layer::new().pax(&[("path", nul)]).file("x", "");
    assert!(layer.refusal().contains("NUL"));
    assert!(Layer::new().file("", "").refusal().contains("NUL"));
    let layer = Layer::new().pax(&[("linkpath", nul)]).symlink("x", "y");
    assert!(layer.refusal().contains("NUL"));
}

#[test]
fn a_long_name_and_a_pax_path_are_told_apart_as_by_tar() {
    let pax: &[(&str, &[u8])] = &[("path", b"by-pax")];
    let long = |layer: Layer| layer.raw(EntryType::GNULongName, b"././@LongLink", b"", b"by-gnu\0");
    for layer in [
        long(Layer::new().pax(pax)).file("x", "content"),
        long(Layer::new()).pax(pax).file("x", "content"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let bytes = layer.bytes();
        fs_err::write(directory.path().join("archive"), &bytes).unwrap();
        let mut tar = Command::new("tar");
        let listed = tar
            .current_dir(directory.path())
            .args(["-tf", "archive"])
            .output()
            .unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let root = directory.path().join("root");
        extract(&*bytes, Compression::None, &root).unwrap();
        assert!(root.join(listed.trim()).is_file(), "tar says {listed:?}");
    }
}
