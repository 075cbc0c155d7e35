//! What both sides of a folder last agreed on, kept beside the copy: without it
//! nobody could tell a removal on one side from a new file on the other.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use bincode::{Decode, Encode};
use protocol::source::{Entry, EntryKind, MODE_BY_CONTENT};

use super::reconcile::Version;
use super::scan::Found;
use crate::digest::Digest;
use crate::note;
use crate::source::Known;

/// All paths that both sides have.
#[derive(Debug, Default, Encode, Decode)]
pub(super) struct Agreement(BTreeMap<Vec<u8>, Agreed>);

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
    /// What is in a file; absent when there is none. One that cannot be read
    /// knows nothing: then contents decide.
    pub(super) fn load(path: &Path) -> io::Result<Option<Self>> {
        match fs_err::read(path) {
            Ok(bytes) => Ok(Some(note::decode(&bytes).unwrap_or_default())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let temporary = path.with_extension("new");
        fs_err::write(&temporary, note::encode(self)?)?;
        fs_err::File::open(&temporary)?.sync_all()?;
        fs_err::rename(temporary, path)
    }

    pub(super) fn get(&self, path: &[u8]) -> Option<&Agreed> {
        self.0.get(path)
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = Vec<u8>> {
        self.0.keys().cloned()
    }

    pub(super) fn forget(&mut self, path: &[u8]) {
        self.0.remove(path);
    }

    /// Both sides have this; a file with this content.
    pub(super) fn agree(
        &mut self,
        path: &[u8],
        host: &EntryKind,
        own: &Found,
        digest: Option<Digest>,
    ) {
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
        let agreed = Agreed { host, mode, stamp };
        self.0.insert(path.to_vec(), agreed);
    }

    #[cfg(test)]
    pub(super) fn agree_on_directory(&mut self, path: &[u8], mode: u16) {
        let found = Found::directory(mode);
        self.agree(path, &EntryKind::Directory { mode }, &found, None);
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
