//! The stream of tar headers, with the extensions of GNU and of POSIX (PAX).

use std::io::Read;

use tar::{Archive, EntryType};

use super::LayerError;
use super::entry::{Entry, Kind};
use super::tree::Tree;

/// The most bytes of one extension header.
const EXTENSION_CAP: u64 = 1024 * 1024;
/// The most entries of a layer.
const ENTRY_CAP: u64 = 5_000_000;
/// The most bytes that a layer's files may have, and what else its archive
/// holds.
pub(crate) const SIZE_CAP: u64 = 64 * 1024 * 1024 * 1024;
/// The most bytes that may follow the end of an archive, of which tools fill
/// its last block.
const PADDING_CAP: u64 = 64 * 1024 * 1024;

/// Key and value of a PAX header.
type Record = (String, Vec<u8>);

/// What extension headers said about the next entry.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Vec<Record>,
}

/// Reads an archive to its end, and puts its entries into a tree.
pub(super) fn apply(archive: impl Read, tree: &mut Tree) -> Result<(), LayerError> {
    let mut archive = Archive::new(archive);
    let entries = archive.entries().map_err(LayerError::Archive)?.raw(true);
    let mut extensions = Extensions::default();
    let (mut count, mut bytes) = (0_u64, 0_u64);
    for entry in entries {
        let mut entry = entry.map_err(LayerError::Archive)?;
        count += 1;
        if count > ENTRY_CAP {
            return Err(LayerError::Quota("more than 5 million entries"));
        }
        // Whatever kind of entry it is: its bytes must be read, or skipped.
        let size = entry.header().entry_size().map_err(LayerError::Archive)?;
        bytes = bytes.saturating_add(size);
        if bytes > SIZE_CAP {
            return Err(LayerError::Quota("its files have more than 64 GiB"));
        }
        match entry.header().entry_type() {
            EntryType::GNULongName => extensions.path = Some(read_name(&mut entry)?),
            EntryType::GNULongLink => extensions.link = Some(read_name(&mut entry)?),
            EntryType::XHeader => extensions.pax = parse_pax(&read_capped(&mut entry)?)?,
            EntryType::XGlobalHeader => {
                read_capped(&mut entry)?;
            }
            _ => {
                let parsed = describe(entry.header(), std::mem::take(&mut extensions))?;
                tree.add(&parsed, &mut entry)?;
            }
        }
    }
    Ok(())
}

/// Reads what follows the end of an archive: it belongs to the digest.
pub(super) fn read_padding(rest: &mut impl Read) -> Result<(), LayerError> {
    let read = std::io::copy(&mut rest.take(PADDING_CAP + 1), &mut std::io::sink());
    if read.map_err(LayerError::Archive)? > PADDING_CAP {
        return Err(LayerError::Quota("more than 64 MiB follow its end"));
    }
    Ok(())
}

/// A field without a digit is zero, as in Go's reader, which most images have
/// been read by.
fn number(field: &[u8], parsed: std::io::Result<u64>) -> Result<u64, LayerError> {
    if field.iter().all(|byte| matches!(byte, 0 | b' ')) {
        return Ok(0);
    }
    parsed.map_err(LayerError::Archive)
}

fn read_capped(entry: &mut impl Read) -> Result<Vec<u8>, LayerError> {
    let mut bytes = Vec::new();
    entry
        .take(EXTENSION_CAP + 1)
        .read_to_end(&mut bytes)
        .map_err(LayerError::Archive)?;
    if bytes.len() as u64 > EXTENSION_CAP {
        return Err(LayerError::Quota("an extension header has more than 1 MiB"));
    }
    Ok(bytes)
}

/// A GNU long name ends with NUL.
fn read_name(entry: &mut impl Read) -> Result<Vec<u8>, LayerError> {
    let mut name = read_capped(entry)?;
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

/// PAX records: `LENGTH KEY=VALUE\n`, where the length counts all of it.
fn parse_pax(bytes: &[u8]) -> Result<Vec<Record>, LayerError> {
    let mut records = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (record, after) = split_record(rest).ok_or(LayerError::Refused {
            path: String::new(),
            reason: "a PAX header is malformed",
        })?;
        records.push(record);
        rest = after;
    }
    Ok(records)
}

fn split_record(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    if length > bytes.len() {
        return None;
    }
    let (record, rest) = bytes.split_at(length);
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let key = std::str::from_utf8(&record[..equals]).ok()?;
    Some(((key.to_owned(), record[equals + 1..].to_vec()), rest))
}

/// Puts a header and its extensions together. A PAX value beats a GNU one,
/// which beats the header, as in GNU tar.
fn describe(header: &tar::Header, extensions: Extensions) -> Result<Entry, LayerError> {
    let mut entry = Entry {
        path: extensions
            .path
            .unwrap_or_else(|| header.path_bytes().into_owned()),
        link: extensions
            .link
            .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned))
            .unwrap_or_default(),
        mode: header.mode().map_err(LayerError::Archive)? & 0o7777,
        uid: number(&header.as_old().uid, header.uid())?,
        gid: number(&header.as_old().gid, header.gid())?,
        modified: (
            number(&header.as_old().mtime, header.mtime())?.cast_signed(),
            0,
        ),
        xattrs: Vec::new(),
        kind: Kind::Other,
    };
    let size = header.entry_size().map_err(LayerError::Archive)?;
    for (key, value) in extensions.pax {
        entry.apply_pax(&key, value, size)?;
    }
    entry.kind = match header.entry_type() {
        EntryType::Regular | EntryType::Continuous => entry.regular_or_directory(size),
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Symlink,
        EntryType::Link => Kind::Hardlink,
        EntryType::Fifo => Kind::Fifo,
        EntryType::Char | EntryType::Block => Kind::Device,
        EntryType::GNUSparse => return Err(entry.refuse("sparse files are not supported")),
        _ => Kind::Other,
    };
    Ok(entry)
}
