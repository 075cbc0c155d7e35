//! Collects the paths of an archive, and checks that they form a tree.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;

use protocol::source::EntryKind;
use zip::read::OwnedZipFileEntry;

use super::ArchiveError;

/// The maximum length of a path, in bytes.
const LONGEST: usize = 4096;
/// The maximum length of all paths together, in bytes.
const PATHS: usize = 256 * 1024 * 1024;
/// The mode of a folder without an entry of its own.
const MODE: u16 = 0o755;

/// The member at a path.
#[derive(Debug)]
pub(super) enum Member {
    Directory {
        mode: u16,
    },
    Link {
        target: Vec<u8>,
    },
    File {
        kind: EntryKind,
        file: OwnedZipFileEntry,
    },
}

impl Member {
    /// Returns the kind for the listing, and the file's entry in the archive.
    pub(super) fn listed(self) -> (EntryKind, Option<OwnedZipFileEntry>) {
        match self {
            Self::Directory { mode } => (EntryKind::Directory { mode }, None),
            Self::Link { target } => (EntryKind::Symlink { target }, None),
            Self::File { kind, file } => (kind, Some(file)),
        }
    }
}

/// Returns a path without `.` and empty components. An empty path means the
/// root. Refuses `..` and absolute paths.
pub(super) fn path(raw: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    let name = || String::from_utf8_lossy(raw).into_owned();
    if raw.starts_with(b"/") {
        return Err(ArchiveError::Absolute { name: name() });
    }
    let parts = raw.split(|byte| *byte == b'/');
    let parts: Vec<&[u8]> = parts.filter(|it| !matches!(*it, b"" | b".")).collect();
    if parts.contains(&&b".."[..]) {
        return Err(ArchiveError::Outside { name: name() });
    }
    let path = parts.join(&b'/');
    if path.contains(&0) || path.len() > LONGEST || raw.is_empty() {
        return Err(ArchiveError::Name { name: name() });
    }
    Ok(path)
}

/// Refuses a link that leads out of the archive.
pub(super) fn check_link(path: &[u8], target: &[u8]) -> Result<(), ArchiveError> {
    let outside = || ArchiveError::LinkOutside {
        name: String::from_utf8_lossy(path).into_owned(),
        target: String::from_utf8_lossy(target).into_owned(),
    };
    if target.is_empty() || target.starts_with(b"/") || target.contains(&0) {
        return Err(outside());
    }
    let mut depth = path.split(|byte| *byte == b'/').skip(1).count();
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => depth = depth.checked_sub(1).ok_or_else(outside)?,
            _ => depth += 1,
        }
    }
    Ok(())
}

/// The members by path. The paths have zero bytes instead of slashes, so that
/// the members of a folder follow it directly.
#[derive(Debug, Default)]
pub(super) struct Members {
    members: BTreeMap<Vec<u8>, Member>,
    /// The length of all paths, in bytes.
    length: usize,
}

impl Members {
    /// Adds a path. Refuses a second member at a path, except a folder.
    pub(super) fn add(&mut self, path: &[u8], member: Member) -> Result<(), ArchiveError> {
        let key: Vec<u8> = path
            .iter()
            .map(|byte| if *byte == b'/' { 0 } else { *byte })
            .collect();
        self.add_parents(&key)?;
        self.count(&key)?;
        let name = || String::from_utf8_lossy(path).into_owned();
        match self.members.entry(key) {
            Place::Vacant(place) => {
                place.insert(member);
            }
            Place::Occupied(mut place) => match (place.get(), &member) {
                (Member::Directory { .. }, Member::Directory { .. }) => {
                    place.insert(member);
                }
                (Member::Directory { .. }, _) | (_, Member::Directory { .. }) => {
                    return Err(ArchiveError::FileAndFolder { name: name() });
                }
                _ => return Err(ArchiveError::Twice { name: name() }),
            },
        }
        Ok(())
    }

    fn add_parents(&mut self, key: &[u8]) -> Result<(), ArchiveError> {
        let mut end = key.len();
        while let Some(slash) = key[..end].iter().rposition(|byte| *byte == 0) {
            let parent = &key[..slash];
            match self.members.get(parent) {
                Some(Member::Directory { .. }) => return Ok(()),
                Some(_) => {
                    let name = text_of(parent);
                    return Err(ArchiveError::FileAndFolder { name });
                }
                None => {
                    self.count(parent)?;
                    let directory = Member::Directory { mode: MODE };
                    self.members.insert(parent.to_vec(), directory);
                }
            }
            end = slash;
        }
        Ok(())
    }

    fn count(&mut self, key: &[u8]) -> Result<(), ArchiveError> {
        self.length += key.len();
        if self.length > PATHS {
            return Err(ArchiveError::LongPaths);
        }
        Ok(())
    }

    /// Returns all members in the order of a listing.
    pub(super) fn finish(self) -> impl Iterator<Item = (Vec<u8>, Member)> {
        self.members.into_iter().map(|(mut key, member)| {
            key.iter_mut()
                .filter(|byte| **byte == 0)
                .for_each(|byte| *byte = b'/');
            (key, member)
        })
    }
}

fn text_of(key: &[u8]) -> String {
    String::from_utf8_lossy(key).replace('\0', "/")
}
