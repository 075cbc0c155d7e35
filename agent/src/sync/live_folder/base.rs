//! Stores the state that both sides of a folder last agreed on. Without it, a
//! file that one side removed looks like a file that the other side created.
//!
//! Each path of a round changes the state. The agent writes the whole state
//! after the round. Until then a journal holds the changes.

mod journal;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use bincode::{Decode, Encode};
use protocol::source::{Entry, EntryKind, MODE_BY_CONTENT};

use super::reconcile::{Base, Underway, Version};
use super::scan::Found;
use crate::images::digest::Digest;
use crate::store::local_encoding;
use crate::sync::source::Known;
use journal::{Journal, JournalRecord};

/// The agreed state: all paths that both sides have, or may have.
pub(super) struct Agreement {
    paths: BTreeMap<Vec<u8>, Noted>,
    file: PathBuf,
    journal: Journal,
}

/// The state of one path.
#[derive(Debug, Clone, Default, Encode, Decode)]
pub(super) struct Noted {
    agreed: Option<Agreed>,
    /// A change that began after the agreement.
    underway: Option<Underway>,
}

/// A path that both sides have.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Agreed {
    /// The path's entry in the host's listing.
    host: Known,
    /// The permission bits on the agent's side.
    mode: u16,
    /// The stamp of a file on the agent's side; zero if it has none.
    stamp: u64,
}

impl Agreement {
    /// Loads a state and its journal. Also returns whether the file exists. A
    /// file that cannot be decoded counts as empty; the contents of the files
    /// then decide.
    pub(super) fn load(file: &Path) -> io::Result<(Self, bool)> {
        let noted = match fs_err::read(file) {
            Ok(bytes) => Some(local_encoding::decode(&bytes).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let is_known = noted.is_some();
        let mut paths: BTreeMap<_, _> = noted.unwrap_or_default();
        let (journal, records) = Journal::open(&file.with_extension("journal"))?;
        for JournalRecord { path, noted } in records.into_iter().filter(|_| is_known) {
            change(&mut paths, path, noted);
        }
        let file = file.to_owned();
        let agreement = Self {
            paths,
            file,
            journal,
        };
        Ok((agreement, is_known))
    }

    /// Writes the whole state, and clears the journal.
    pub(super) fn save(&mut self) -> io::Result<()> {
        let temporary = self.file.with_extension("new");
        fs_err::write(&temporary, local_encoding::encode(&self.paths)?)?;
        fs_err::File::open(&temporary)?.sync_all()?;
        fs_err::rename(temporary, &self.file)?;
        self.journal.clear()
    }

    /// The entry that both sides have at a path, if that is certain.
    pub(super) fn get(&self, path: &[u8]) -> Option<&Agreed> {
        let noted = self.paths.get(path)?;
        noted.agreed.as_ref().filter(|_| noted.underway.is_none())
    }

    /// The base for a decision about a path.
    pub(super) fn base(&self, path: &[u8]) -> Base {
        match self.paths.get(path) {
            Some(Noted {
                underway: Some(it), ..
            }) => Base::Underway(it.clone()),
            Some(Noted { agreed, .. }) => Base::Agreed(agreed.as_ref().map(Agreed::version)),
            None => Base::Agreed(None),
        }
    }

    /// Whether an interrupted round has left an unfinished change.
    pub(super) fn is_underway(&self, path: &[u8]) -> bool {
        self.paths.get(path).is_some_and(|it| it.underway.is_some())
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = Vec<u8>> {
        self.paths.keys().cloned()
    }

    /// Records that neither side has the path.
    pub(super) fn forget(&mut self, path: &[u8]) -> io::Result<()> {
        self.note(path, Noted::default())
    }

    /// Records that a change on one side begins.
    pub(super) fn begin(&self, path: &[u8], underway: Underway) -> io::Result<()> {
        let agreed = self.paths.get(path).and_then(|it| it.agreed.clone());
        let underway = Some(underway);
        self.journal.add(path, Noted { agreed, underway })
    }

    /// Records that a change that began is not made.
    pub(super) fn abandon(&self, path: &[u8]) -> io::Result<()> {
        let noted = self.paths.get(path).cloned().unwrap_or_default();
        self.journal.add(path, noted)
    }

    fn note(&mut self, path: &[u8], noted: Noted) -> io::Result<()> {
        self.journal.add(path, noted.clone())?;
        change(&mut self.paths, path.to_vec(), noted);
        Ok(())
    }

    /// Records that both sides have a path. A file has the content `digest`.
    pub(super) fn agree(
        &mut self,
        path: &[u8],
        host: &EntryKind,
        own: &Found,
        digest: Option<Digest>,
    ) -> io::Result<()> {
        let entry = Entry {
            path: path.to_vec(),
            kind: host.clone(),
        };
        let (mode, stamp) = match own {
            Found::Directory { mode } => (*mode, 0),
            Found::File { mode, changed, .. } if is_recent(*changed) => (*mode, 0),
            Found::File { mode, stamp, .. } => (*mode, *stamp),
            Found::Symlink { .. } => (0, 0),
        };
        let host = Known::of(&entry, digest);
        let noted = Noted {
            agreed: Some(Agreed { host, mode, stamp }),
            underway: None,
        };
        self.note(path, noted)
    }
}

fn change(paths: &mut BTreeMap<Vec<u8>, Noted>, path: Vec<u8>, noted: Noted) {
    match noted {
        Noted {
            agreed: None,
            underway: None,
        } => drop(paths.remove(&path)),
        noted => drop(paths.insert(path, noted)),
    }
}

impl Agreed {
    /// Whether the host's entry is unchanged.
    pub(super) fn is_hosts(&self, kind: &EntryKind) -> bool {
        self.host.is(kind)
    }

    /// Whether the agent's entry is unchanged.
    pub(super) fn is_own(&self, found: &Found) -> bool {
        match (&self.host, found) {
            (Known::Directory { .. }, Found::Directory { mode }) => self.mode == *mode,
            (Known::Symlink { target }, Found::Symlink { target: found }) => target == found,
            (Known::File { .. }, Found::File { mode, stamp, .. }) => {
                self.stamp != 0 && (self.mode, self.stamp) == (*mode, *stamp)
            }
            _ => false,
        }
    }

    /// The digest of a file; absent for other entries.
    pub(super) fn digest(&self) -> Option<Digest> {
        match &self.host {
            Known::File { digest, .. } => Some(*digest),
            _ => None,
        }
    }

    /// The permission bits on the agent's side.
    pub(super) const fn mode(&self) -> u16 {
        self.mode
    }

    /// The agent's version.
    pub(super) fn version(&self) -> Version {
        match &self.host {
            Known::Directory { .. } => Version::Directory { mode: self.mode },
            Known::Symlink { target } => Version::Symlink {
                target: target.clone(),
            },
            Known::File { digest, .. } => Version::File {
                digest: *digest,
                mode: self.mode,
            },
        }
    }
}

/// Nanoseconds after a change in which a file may change again without a
/// visible trace. Git calls such a file "racily clean". The kernel's clock
/// ticks every 10 milliseconds, or more often.
const RACY: i64 = 50_000_000;

fn is_recent(changed: i64) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_nanos()).unwrap_or(i64::MAX));
    now.saturating_sub(changed) < RACY
}

/// The permission bits on the agent's side for an entry of the host. If the
/// host has no modes, an existing file keeps its own.
pub(super) fn mode(host: u16, own: Option<u16>) -> u16 {
    match own {
        Some(own) if host == MODE_BY_CONTENT => own,
        _ => host,
    }
}
