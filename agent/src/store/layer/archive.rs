//! Reads the entries of a tar archive, with the extensions of GNU and of POSIX
//! (PAX).

use std::io::{self, Read};

use tar::{EntryType, Header};

use super::LayerError;
use super::entry::{Entry, Kind};
use super::header::{self, BLOCK, damaged, until_nul};
use super::pax::{self, Records};
use super::sparse::Layout;
use super::tree::Tree;

/// The most bytes of one extension header, as in Go.
const EXTENSION_CAP: u64 = 1024 * 1024;
/// The most entries of a layer.
const ENTRY_CAP: u64 = 5_000_000;
/// The most bytes of a layer's files and of all else in its archive.
pub(crate) const SIZE_CAP: u64 = 64 * 1024 * 1024 * 1024;
/// The most bytes that may follow the end of an archive. Tools pad the last
/// block.
const PADDING_CAP: u64 = 64 * 1024 * 1024;

/// Values of extension headers for the next entry. An empty name means no
/// value.
#[derive(Default)]
struct Extensions {
    path: Vec<u8>,
    link: Vec<u8>,
    records: Records,
}

/// The entries and bytes that an archive may still hold.
struct Quota {
    entries: u64,
    bytes: u64,
}

impl Quota {
    fn take_entry(&mut self) -> Result<(), LayerError> {
        let left = self.entries.checked_sub(1);
        self.entries = left.ok_or(LayerError::Quota("more than 5 million entries"))?;
        Ok(())
    }

    fn take_bytes(&mut self, bytes: u64) -> Result<(), LayerError> {
        let left = self.bytes.checked_sub(bytes);
        self.bytes = left.ok_or(LayerError::Quota("its files have more than 64 GiB"))?;
        Ok(())
    }
}

/// Reads an archive to its end and writes its entries into a tree.
pub(super) fn apply(archive: &mut impl Read, tree: &mut Tree) -> Result<(), LayerError> {
    let mut extensions = Extensions::default();
    let mut quota = Quota {
        entries: ENTRY_CAP,
        bytes: SIZE_CAP,
    };
    while let Some(header) = header::read(archive).map_err(LayerError::Archive)? {
        quota.take_entry()?;
        let mut extension = || read_extension(&header, archive, &mut quota);
        match header.entry_type() {
            EntryType::GNULongName => extensions.path = until_nul(&extension()?).to_vec(),
            EntryType::GNULongLink => extensions.link = until_nul(&extension()?).to_vec(),
            EntryType::XHeader => extensions.records = Records::parse(&extension()?)?,
            // Ignores it, as Docker does. Git writes the name of a commit
            // there.
            EntryType::XGlobalHeader => drop(extension()?),
            _ => {
                let extensions = std::mem::take(&mut extensions);
                read_entry(&header, &extensions, archive, tree, &mut quota)?;
            }
        }
    }
    Ok(())
}

/// Reads the bytes after the end of an archive, because the digest covers them.
pub(super) fn read_padding(rest: &mut impl Read) -> Result<(), LayerError> {
    let read = io::copy(&mut rest.take(PADDING_CAP + 1), &mut io::sink());
    if read.map_err(LayerError::Archive)? > PADDING_CAP {
        return Err(LayerError::Quota("more than 64 MiB follow its end"));
    }
    Ok(())
}

fn read_extension(
    header: &Header,
    archive: &mut impl Read,
    quota: &mut Quota,
) -> Result<Vec<u8>, LayerError> {
    let size = stored(header)?;
    quota.take_bytes(size)?;
    if size > EXTENSION_CAP {
        return Err(LayerError::Quota("an extension header has more than 1 MiB"));
    }
    let mut bytes = Vec::new();
    let mut content = archive.take(size);
    content
        .read_to_end(&mut bytes)
        .and_then(|_| skip_rest(content))
        .and_then(|()| skip_padding(archive, size))
        .map_err(LayerError::Archive)?;
    Ok(bytes)
}

fn read_entry(
    header: &Header,
    extensions: &Extensions,
    archive: &mut impl Read,
    tree: &mut Tree,
    quota: &mut Quota,
) -> Result<(), LayerError> {
    let stored = stored_with(header, &extensions.records)?;
    let mut entry = describe(header, extensions, stored)?;
    quota.take_bytes(stored)?;
    let old_map = match header.entry_type() {
        EntryType::GNUSparse => {
            Some(Layout::of_header(header, archive).map_err(LayerError::Archive)?)
        }
        _ => None,
    };
    let mut content = archive.take(stored);
    let map = match old_map {
        None => Layout::of_records(&extensions.records, &mut content, stored)
            .map_err(LayerError::Archive)?,
        map => map,
    };
    if let Some(map) = map {
        quota.take_bytes(map.size.saturating_sub(stored))?;
        let name = extensions.records.get("GNU.sparse.name");
        entry.make_sparse(map, name)?;
    }
    tree.add(entry, &mut content)?;
    skip_rest(content)
        .and_then(|()| skip_padding(archive, stored))
        .map_err(LayerError::Archive)
}

/// The bytes that the archive stores for an entry, by its header.
fn stored(header: &Header) -> Result<u64, LayerError> {
    let size = header::number(&header.as_old().size).and_then(|it| u64::try_from(it).ok());
    size.ok_or_else(|| LayerError::Archive(damaged("the size in a header is malformed")))
}

/// The same by the entry's PAX records, which take precedence. A header cannot
/// express 8 GiB or more.
fn stored_with(header: &Header, records: &Records) -> Result<u64, LayerError> {
    match (header.entry_type(), records.get("size")) {
        // Some programs set a size for these entries. The archive stores no
        // content.
        (
            EntryType::Directory
            | EntryType::Symlink
            | EntryType::Link
            | EntryType::Fifo
            | EntryType::Char
            | EntryType::Block,
            _,
        ) => Ok(0),
        (_, Some(size)) => pax::number(size)
            .ok_or_else(|| LayerError::Archive(damaged("the size in a PAX header is malformed"))),
        (_, None) => stored(header),
    }
}

fn skip_rest(mut content: io::Take<impl Read>) -> io::Result<()> {
    io::copy(&mut content, &mut io::sink())?;
    match content.limit() {
        0 => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Skips the padding after an entry's content. It may be missing after the last
/// entry.
fn skip_padding(archive: &mut impl Read, size: u64) -> io::Result<()> {
    let padding = size.next_multiple_of(BLOCK as u64) - size;
    io::copy(&mut archive.take(padding), &mut io::sink())?;
    Ok(())
}

/// Combines a header and its extensions into an entry. Precedence, as in GNU
/// tar: PAX record, GNU extension, header.
fn describe(header: &Header, extensions: &Extensions, stored: u64) -> Result<Entry, LayerError> {
    let fields = header.as_old();
    let mut entry = Entry::new(
        first_of(&extensions.path, header::name(header)),
        first_of(&extensions.link, until_nul(&fields.linkname).to_vec()),
    );
    entry.apply_header(fields)?;
    for (key, value) in extensions.records.iter() {
        entry.apply_pax(key, value)?;
    }
    entry.kind = match header.entry_type() {
        // Before POSIX.1-1988, a directory was a file whose name ends with a
        // slash.
        EntryType::Regular if fields.linkflag == [0] && entry.path.ends_with(b"/") => {
            Kind::Directory
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            Kind::File(Layout::dense(stored))
        }
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Symlink,
        EntryType::Link => Kind::Hardlink,
        EntryType::Fifo => Kind::Fifo,
        EntryType::Char | EntryType::Block => Kind::Device,
        _ => Kind::Other,
    };
    Ok(entry)
}

fn first_of(long: &[u8], short: Vec<u8>) -> Vec<u8> {
    if long.is_empty() {
        short
    } else {
        long.to_vec()
    }
}
