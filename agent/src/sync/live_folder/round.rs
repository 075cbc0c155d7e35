//! Runs one round: transfers the changes of each side to the other.

use std::collections::BTreeSet;
use std::io;

use protocol::folder::FolderEvent;
use protocol::source::EntryKind;
use protocol::{Event, Failure};

use super::base;
use super::reconcile::Version;
use super::scan::{Found, Scan, scan};
use super::{Folder, not_noted};
use crate::images::digest::Digest;
use crate::request::stream::{HostGone, Inputs, RequestStream};
use crate::store::Store;
use crate::sync::source::{SourceError, write_error};

/// A round in progress.
pub(super) struct Round<'a> {
    pub(super) folder: &'a mut Folder,
    pub(super) stream: &'a RequestStream,
    pub(super) inputs: &'a mut Inputs,
    pub(super) scan: Scan,
    /// Whether a path changed during the round, so that another round is due.
    pub(super) again: bool,
    /// Whether the agreed state has changed.
    pub(super) changed: bool,
    /// Paths to send to the host, parents first.
    pub(super) to_host: Vec<ToHost>,
}

/// A path whose version on the agent's side the host gets.
#[derive(Debug)]
pub(super) struct ToHost {
    pub(super) path: Vec<u8>,
    /// The host's current version.
    pub(super) host: Option<Version>,
}

/// A path that at least one side has changed since the last agreement.
#[derive(Debug, Clone)]
pub(super) struct Touched {
    pub(super) path: Vec<u8>,
    pub(super) by_host: bool,
    pub(super) by_us: bool,
}

impl Folder {
    /// Runs a round. Returns whether another one is due.
    pub(super) async fn round(
        &mut self,
        store: &Store,
        stream: &RequestStream,
        inputs: &mut Inputs,
    ) -> Result<bool, Failure> {
        self.copy.refresh();
        let root = self.copy.root().to_owned();
        let found =
            tokio::task::block_in_place(|| scan(&root, |path| self.agreement.get(path).is_some()));
        let mut round = Round {
            scan: found.map_err(|source| write_error(&root, source))?,
            folder: self,
            stream,
            inputs,
            again: false,
            changed: false,
            to_host: Vec::new(),
        };
        round.run().await?;
        let (again, changed) = (round.again, round.changed);
        if changed {
            // Syncs the files first: after a power cut, the agreed state must
            // not be newer than the files.
            tokio::task::block_in_place(|| store.sync())?;
            self.save()?;
        }
        Ok(again)
    }
}

impl Round<'_> {
    async fn run(&mut self) -> Result<(), SourceError> {
        let touched = self.touched();
        let rest = self.remove(touched)?;
        self.take(rest).await?;
        self.give().await
    }

    fn touched(&self) -> Vec<Touched> {
        let folder = &self.folder;
        let mut paths: BTreeSet<Vec<u8>> = folder.agreement.paths().collect();
        paths.extend(folder.host.keys().cloned());
        paths.extend(self.scan.keys().cloned());
        let touched = paths.into_iter().map(|path| {
            let agreed = folder.agreement.get(&path);
            let host = folder.host.get(&path);
            let own = self.scan.get(&path);
            // An unfinished change counts as a change of both sides.
            let is_underway = folder.agreement.is_underway(&path);
            let by_host = is_underway
                || match (agreed, host) {
                    (Some(agreed), Some(host)) => !agreed.is_hosts(host),
                    (agreed, host) => agreed.is_some() || host.is_some(),
                };
            let by_us = is_underway
                || match (agreed, own) {
                    (Some(agreed), Some(own)) => !agreed.is_own(own),
                    (agreed, own) => agreed.is_some() || own.is_some(),
                };
            Touched {
                path,
                by_host,
                by_us,
            }
        });
        touched.filter(|it| it.by_host || it.by_us).collect()
    }

    /// Removes the paths that only the host has removed, children first.
    /// Returns all other paths, parents first.
    fn remove(&mut self, touched: Vec<Touched>) -> Result<Vec<Touched>, SourceError> {
        let mut rest = Vec::new();
        for it in touched.into_iter().rev() {
            let is_removed = it.by_host && !self.folder.host.contains_key(&it.path);
            let is_untouched = |own: Option<Version>| {
                let base = self.folder.agreement.base(&it.path);
                own.is_some() && base.is_own(own.as_ref())
            };
            let is_ours = !is_removed || !self.own_version(&it).is_ok_and(is_untouched);
            if is_ours || !self.remove_own(&it.path)? {
                rest.push(it);
            }
        }
        rest.reverse();
        Ok(rest)
    }

    /// The agent's version of a path, if there is one. Fails if a file has just
    /// vanished.
    pub(super) fn own_version(&self, it: &Touched) -> io::Result<Option<Version>> {
        let agreed = self.folder.agreement.get(&it.path);
        let Some(found) = self.scan.get(&it.path) else {
            return Ok(None);
        };
        if let (false, Some(agreed)) = (it.by_us, agreed) {
            return Ok(Some(agreed.version()));
        }
        let content = match found {
            Found::File { .. } => {
                let digest = || self.folder.copy.digest(&it.path);
                Some(tokio::task::block_in_place(digest)?)
            }
            Found::Directory { .. } | Found::Symlink { .. } => None,
        };
        Ok(found.version(content))
    }

    /// The host's version of a path. A file that the host has changed has the
    /// digest `content`.
    pub(super) fn host_version(&self, it: &Touched, content: Option<Digest>) -> Option<Version> {
        let agreed = self.folder.agreement.get(&it.path);
        if let (false, Some(agreed)) = (it.by_host, agreed) {
            return Some(agreed.version());
        }
        Some(match self.folder.host.get(&it.path)? {
            EntryKind::Directory { mode } => Version::Directory { mode: mode | 0o700 },
            EntryKind::Symlink { target } => Version::Symlink {
                target: target.clone(),
            },
            EntryKind::File { mode, .. } => Version::File {
                digest: content?,
                mode: base::mode(*mode, self.own_mode(&it.path)),
            },
        })
    }

    /// The permission bits of a file on the agent's side, now or at the
    /// agreement.
    pub(super) fn own_mode(&self, path: &[u8]) -> Option<u16> {
        if let Some(Found::File { mode, .. }) = self.scan.get(path) {
            return Some(*mode);
        }
        let agreed = self.folder.agreement.get(path)?;
        agreed.digest().map(|_| agreed.mode())
    }

    /// Records that both sides have the same version of a path.
    pub(super) fn agree(&mut self, path: &[u8], digest: Option<Digest>) -> Result<(), SourceError> {
        self.changed = true;
        let own = self.folder.copy.look(path);
        let agreement = &mut self.folder.agreement;
        let noted = match (self.folder.host.get(path), own) {
            (Some(host), Some(own)) => agreement.agree(path, host, &own, digest),
            _ => agreement.forget(path),
        };
        noted.map_err(not_noted)
    }

    /// Records that neither side has the path.
    pub(super) fn forget(&mut self, path: &[u8]) -> Result<(), SourceError> {
        self.changed = true;
        self.folder.agreement.forget(path).map_err(not_noted)
    }

    pub(super) async fn notify(&self, event: FolderEvent) -> Result<(), HostGone> {
        self.stream.event(Event::Folder(event)).await
    }
}
