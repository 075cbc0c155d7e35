//! Stores the state that both sides of a folder last agreed on. Without it, a
//! file that one side removed looks like a file that the other side created.
//!
//! Each path of a round changes the state. The agent writes it as a whole after
//! the round; until then a journal holds the changes.

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

/// All paths that both sides have, or may have.
pub(super) struct Agreement {
    paths: BTreeMap<Vec<u8>, Noted>,
    file: PathBuf,
    journal: Journal,
}

/// What is noted of a path.
#[derive(Debug, Clone, Default, Encode, Decode)]
pub(super) struct Noted {
    agreed: Option<Agreed>,
    /// Comes after that.
    underway: Option<Underway>,
}

/// A path that both sides have.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Agreed {
    /// What the host said about it.
    host: Known,
    /// This side's permission bits.
    mode: u16,
    /// This side's stamp of a file; zero is that of none.
    stamp: u64,
}

impl Agreement {
    /// What is in a file and its journal, and whether there was one. One that
    /// cannot be read knows nothing: then contents decide.
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

    /// Writes all of it; the journal begins anew.
    pub(super) fn save(&mut self) -> io::Result<()> {
        let temporary = self.file.with_extension("new");
        fs_err::write(&temporary, local_encoding::encode(&self.paths)?)?;
        fs_err::File::open(&temporary)?.sync_all()?;
        fs_err::rename(temporary, &self.file)?;
        self.journal.clear()
    }

    /// What both sides have at a path, if that is certain.
    pub(super) fn get(&self, path: &[u8]) -> Option<&Agreed> {
        let noted = self.paths.get(path)?;
        noted.agreed.as_ref().filter(|_| noted.underway.is_none())
    }

    /// What is known of a path.
    pub(super) fn base(&self, path: &[u8]) -> Base {
        match self.paths.get(path) {
            Some(Noted {
                underway: Some(it), ..
            }) => Base::Underway(it.clone()),
            Some(Noted { agreed, .. }) => Base::Agreed(agreed.as_ref().map(Agreed::version)),
            None => Base::Agreed(None),
        }
    }

    /// Whether something was on its way when everything ended.
    pub(super) fn is_underway(&self, path: &[u8]) -> bool {
        self.paths.get(path).is_some_and(|it| it.underway.is_some())
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = Vec<u8>> {
        self.paths.keys().cloned()
    }

    /// Both sides have nothing there.
    pub(super) fn forget(&mut self, path: &[u8]) -> io::Result<()> {
        self.note(path, Noted::default())
    }

    /// A change is about to be made on one side.
    pub(super) fn begin(&self, path: &[u8], underway: Underway) -> io::Result<()> {
        let agreed = self.paths.get(path).and_then(|it| it.agreed.clone());
        let underway = Some(underway);
        self.journal.add(path, Noted { agreed, underway })
    }

    /// A change that was begun is not made.
    pub(super) fn abandon(&self, path: &[u8]) -> io::Result<()> {
        let noted = self.paths.get(path).cloned().unwrap_or_default();
        self.journal.add(path, noted)
    }

    fn note(&mut self, path: &[u8], noted: Noted) -> io::Result<()> {
        self.journal.add(path, noted.clone())?;
        change(&mut self.paths, path.to_vec(), noted);
        Ok(())
    }

    /// Both sides have this; a file with this content.
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
    /// Whether the host still says the same.
    pub(super) fn is_hosts(&self, kind: &EntryKind) -> bool {
        self.host.is(kind)
    }

    /// Whether this side still has the same.
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

    /// The content of a file.
    pub(super) fn digest(&self) -> Option<Digest> {
        match &self.host {
            Known::File { digest, .. } => Some(*digest),
            _ => None,
        }
    }

    /// This side's permission bits.
    pub(super) const fn mode(&self) -> u16 {
        self.mode
    }

    /// As a version of this side's.
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

/// A file that has changed this recently may change again without a visible
/// trace, as git knows it ("racily clean"). This kernel's clock ticks every 10
/// milliseconds, or more often.
const RACY: i64 = 50_000_000;

fn is_recent(changed: i64) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_nanos()).unwrap_or(i64::MAX));
    now.saturating_sub(changed) < RACY
}

/// The permission bits that this side gives to what the host has. A host
/// without modes has no say in them, once there is a file.
pub(super) fn mode(host: u16, own: Option<u16>) -> u16 {
    match own {
        Some(own) if host == MODE_BY_CONTENT => own,
        _ => host,
    }
}
