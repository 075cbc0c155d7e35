//! Uses a zip archive as a source. Its files are the source tree. locald does
//! not unpack it to disk: it sends the files that the agent lacks.
//!
//! An archive may come from a stranger. locald refuses an archive with a path
//! that cannot be part of a tree, or that is larger than any real source.

mod error;
mod members;
mod mode;
mod window;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{Read as _, Seek};
use std::path::Path;

use protocol::source::{Entry, EntryKind, Tree};
use protocol::{Channel, Input};
use tokio::sync::Mutex;
use zip::ZipReadOptions;
use zip::read::{Config, OwnedZipFileEntry, ZipFileEntry};
use zip::unstable::read::ZipIterable;

use super::ignored::{Matched, Verdict};
use super::send::{BUFFER, lost};
use super::walk::drop_empty;
use super::{Content, Rules, SourceError, SourceTree};
use crate::connection::agent::{AgentError, Sender};
use crate::project::is_archive;
pub(crate) use error::ArchiveError;
use members::{Member, Members};
use window::Window;

/// The maximum number of entries of an archive.
const ENTRIES: usize = 500_000;
/// The maximum unpacked size in bytes, …
const SIZE: u64 = 1024 * 1024 * 1024;
/// … unless it is at most this many times the size of the archive.
const RATIO: u64 = 100;
/// The maximum length of a link's target, in bytes.
const TARGET: u64 = 4096;

/// An open archive.
#[derive(Debug)]
pub(super) struct Archive {
    /// The name of the archive for messages.
    name: String,
    /// The listed file, even if the path has another one by now.
    file: Mutex<std::fs::File>,
    /// The archive's files, by the index of the entry in the listing.
    files: Vec<Option<OwnedZipFileEntry>>,
}

/// Lists the files of an archive that the rules do not exclude.
pub(crate) fn list(path: &Path, rules: &Rules) -> Result<SourceTree, SourceError> {
    let listed = Listing::of(path).map(|listing| listing.finish(path, rules));
    listed.map_err(|error| SourceError::Archive {
        path: path.to_owned(),
        error: match error {
            ArchiveError::Damaged(_) if !is_archive(path) => ArchiveError::NoArchive,
            error => error,
        },
    })
}

/// An archive during the listing.
struct Listing {
    file: std::fs::File,
    members: Members,
    skipped: Vec<String>,
}

impl Listing {
    fn of(path: &Path) -> Result<Self, ArchiveError> {
        let file = std::fs::File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(ArchiveError::NoArchive);
        }
        let length = file.metadata()?.len();
        let reader = Window::new(&file);
        let mut archive = ZipIterable::try_new(reader, Config::default())?;
        if archive.len() > ENTRIES {
            let count = archive.len();
            return Err(ArchiveError::TooMany { count });
        }
        let entries = archive.files()?;
        let (mut members, mut skipped) = (Members::default(), Vec::new());
        let (mut packed, mut unpacked) = (0_u64, 0_u64);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            packed = packed.saturating_add(entry.compressed_size());
            unpacked = unpacked.saturating_add(entry.size());
            // Entries that overlap have more bytes together than the file.
            if packed > length {
                return Err(ArchiveError::Overlap);
            }
            if unpacked > SIZE.max(length.saturating_mul(RATIO)) {
                return Err(ArchiveError::TooLarge {
                    size: length,
                    unpacked,
                });
            }
            let name = members::path(entry.name_raw())?;
            if name.is_empty() {
                continue;
            }
            match member(entry, &name, entries.reader_mut())? {
                Some(member) => members.add(&name, member)?,
                None => skipped.push(String::from_utf8_lossy(&name).into_owned()),
            }
        }
        Ok(Self {
            file,
            members,
            skipped,
        })
    }

    /// Applies the rules, and returns the tree.
    fn finish(self, path: &Path, rules: &Rules) -> SourceTree {
        let (mut entries, mut files, mut searched) = (Vec::new(), Vec::new(), Vec::new());
        // The folders above the current path, and the patterns that each
        // matches.
        let mut above: Vec<(Vec<u8>, Option<Matched>)> = Vec::new();
        for (path, member) in self.members.finish() {
            let is_in = |folder: &[u8]| {
                let rest = path.strip_prefix(folder);
                rest.is_some_and(|rest| rest.starts_with(b"/"))
            };
            while above.pop_if(|(folder, _)| !is_in(folder)).is_some() {}
            let root = Some(Matched::default());
            let matched = above.last().map_or(&root, |(_, matched)| matched);
            let is_folder = matches!(member, Member::Directory { .. });
            let judged = matched.as_ref().map(|it| rules.judge(&path, is_folder, it));
            let judged = judged.filter(|(verdict, _)| *verdict != Verdict::LeftOut);
            let (verdict, matched) = judged.unzip();
            if is_folder {
                above.push((path.clone(), matched));
            }
            let Some(verdict) = verdict else { continue };
            if verdict == Verdict::Searched {
                searched.push(entries.len());
            }
            let (kind, file) = member.listed();
            entries.push(Entry { path, kind });
            files.push(file);
        }
        let kept = drop_empty(&mut entries, 0, &searched);
        let mut kept = kept.into_iter();
        files.retain(|_| kept.next().unwrap_or(true));
        let name = path.file_name().unwrap_or_default();
        SourceTree {
            entries,
            folders: Vec::new(),
            skipped: self.skipped,
            content: Content::Archive(Archive {
                name: name.to_string_lossy().into_owned(),
                file: Mutex::new(self.file),
                files,
            }),
            ..SourceTree::new(path)
        }
    }
}

/// Returns the kind of an entry. Returns `None` if it cannot be part of a tree.
fn member<R: std::io::Read + Seek>(
    entry: ZipFileEntry<'static>,
    name: &[u8],
    reader: &mut R,
) -> Result<Option<Member>, ArchiveError> {
    let text = || String::from_utf8_lossy(name).into_owned();
    let (kind, mode) = mode::of(&entry);
    match kind {
        mode::Kind::Directory => return Ok(Some(Member::Directory { mode })),
        mode::Kind::Other => return Ok(None),
        mode::Kind::File | mode::Kind::Link => {}
    }
    if entry.encrypted() {
        return Err(ArchiveError::Encrypted { name: text() });
    }
    if !zip::SUPPORTED_COMPRESSION_METHODS.contains(&entry.compression()) {
        let method = entry.compression().to_string();
        return Err(ArchiveError::Method {
            name: text(),
            method,
        });
    }
    if kind == mode::Kind::Link {
        if entry.size() > TARGET {
            return Err(ArchiveError::LongLink { name: text() });
        }
        let mut target = Vec::new();
        let content = entry.with_reader(reader, ZipReadOptions::new())?;
        content.take(TARGET + 1).read_to_end(&mut target)?;
        members::check_link(name, &target)?;
        return Ok(Some(Member::Link { target }));
    }
    let kind = EntryKind::File {
        size: entry.size(),
        mode,
        modified: mode::modified(&entry),
        stamp: stamp(&entry),
    };
    let file = OwnedZipFileEntry::from(entry);
    Ok(Some(Member::File { kind, file }))
}

/// Returns a stamp of a file's checksum and size. A new archive with the same
/// file has the same stamp, so the file is not sent again.
fn stamp(entry: &ZipFileEntry) -> u64 {
    let mut hasher = DefaultHasher::new();
    let sizes = (entry.size(), entry.compressed_size());
    (entry.crc32(), sizes).hash(&mut hasher);
    hasher.finish() | 1
}

impl Archive {
    /// Queues a file. Its length must be the one in the listing.
    pub(super) async fn send(
        &self,
        sender: &mut Sender,
        tree: Tree,
        index: u32,
        number: usize,
    ) -> Result<(), AgentError> {
        let Some(Some(entry)) = self.files.get(number) else {
            let message = "the agent asks for a path that is not a file";
            return lost(sender, tree, index, message).await;
        };
        let size = entry.size();
        let mut file = self.file.lock().await;
        let damaged = |error: &dyn std::fmt::Display| {
            let path = String::from_utf8_lossy(entry.name_raw());
            format!("{}: {path:?} cannot be unpacked: {error}", self.name)
        };
        let opened = entry
            .as_ref()
            .with_reader(&mut *file, ZipReadOptions::new());
        let mut content = match opened {
            Ok(content) => content,
            Err(error) => return lost(sender, tree, index, &damaged(&error)).await,
        };
        let announced = Input::SourceFile { tree, index, size };
        let mut is_announced = false;
        let mut left = size;
        let mut buffer = vec![0; BUFFER];
        loop {
            let wanted = BUFFER.min(usize::try_from(left).unwrap_or(BUFFER));
            let read = read_part(&mut content, &mut buffer[..wanted], left);
            if let Err(error) = read {
                return lost(sender, tree, index, &damaged(&error)).await;
            }
            if !is_announced {
                sender.queue_input(&announced).await?;
                is_announced = true;
            }
            sender.queue_data(Channel::Bulk, &buffer[..wanted]).await?;
            left -= wanted as u64;
            if left == 0 {
                return Ok(());
            }
        }
    }
}

/// Fills a buffer. At the last part, also reads the end of the file: the reader
/// compares the checksum there.
fn read_part(
    content: &mut impl std::io::Read,
    buffer: &mut [u8],
    left: u64,
) -> std::io::Result<()> {
    content.read_exact(buffer)?;
    if buffer.len() as u64 == left && content.read(&mut [0])? > 0 {
        return Err(std::io::Error::other("it is longer than the archive says"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
