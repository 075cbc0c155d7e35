//! Applies the host's changes to the agent's copy.

use std::collections::VecDeque;

use protocol::folder::FolderEvent;
use protocol::source::{EntryKind, Tree};
use rustix::io::Errno;

use super::copy::{Copy, failed};
use super::reconcile::{Decision, Underway, Version, reconcile};
use super::round::{Round, ToHost, Touched};
use super::scan::Found;
use super::{ancestors, base, not_noted};
use crate::images::digest::Digest;
use crate::sync::source::{SourceError, Times, Wanted, receive_file};

/// The most files to request at a time.
const ASKED: usize = 256;
/// The most bytes of paths in one request.
const ASKED_BYTES: usize = protocol::CONTROL_CAP / 2;

/// Files to fetch from the host, in their order.
#[derive(Debug, Default)]
struct Fetch {
    /// Files that are not requested yet.
    later: VecDeque<Vec<u8>>,
    /// Files in the last request.
    asked: usize,
    /// Files of the last request that have arrived.
    came: usize,
}

impl Round<'_> {
    /// Decides on all paths, and applies the host's versions.
    pub(super) async fn take(&mut self, touched: Vec<Touched>) -> Result<(), SourceError> {
        let is_fetched = |it: &&Touched| {
            let kind = self.folder.host.get(&it.path);
            it.by_host && matches!(kind, Some(EntryKind::File { .. }))
        };
        let later = touched.iter().filter(is_fetched);
        let mut fetch = Fetch {
            later: later.map(|it| it.path.clone()).collect(),
            ..Fetch::default()
        };
        let mut emptied = Vec::new();
        for it in touched {
            let kind = self.folder.host.get(&it.path).cloned();
            let content = match (&kind, it.by_host) {
                (Some(kind @ EntryKind::File { .. }), true) => {
                    match self.fetch(&mut fetch, &it.path, kind).await? {
                        Some(digest) => Some(digest),
                        // The host could not read the file, and has reported
                        // that to its user.
                        None => continue,
                    }
                }
                _ => None,
            };
            let Ok(own) = self.own_version(&it) else {
                self.again = true;
                continue;
            };
            let host = self.host_version(&it, content);
            let base = self.folder.agreement.base(&it.path);
            match (reconcile(&base, host.as_ref(), own.as_ref()), host) {
                (Decision::Take, None) => emptied.push(it.path),
                (Decision::Agree, _) => self.agree(&it.path, digest_of(own.as_ref()))?,
                (Decision::ToHost, host) => self.to_host.push(ToHost {
                    path: it.path,
                    host,
                }),
                (Decision::Take, Some(host)) => self.put(&it.path, own, host).await?,
                (Decision::Conflict, host) => {
                    self.part(&it.path).await?;
                    if let Some(host) = host {
                        self.put(&it.path, None, host).await?;
                    }
                }
            }
        }
        self.remove_emptied(emptied)
    }

    /// Removes directories that the host has removed, after their contents.
    /// Keeps a directory in which this side has a new entry.
    fn remove_emptied(&mut self, paths: Vec<Vec<u8>>) -> Result<(), SourceError> {
        for path in paths.into_iter().rev() {
            if self.remove_own(&path)? {
                continue;
            }
            let is_in_it = |it: &ToHost| ancestors(&it.path).any(|it| it == path);
            if self.to_host.iter().any(is_in_it) {
                self.to_host.push(ToHost { path, host: None });
            } else {
                self.forget(&path)?;
            }
        }
        // Parents come first.
        self.to_host
            .sort_unstable_by(|one, other| one.path.cmp(&other.path));
        Ok(())
    }

    /// Receives the next file. Absent if the host cannot read it.
    async fn fetch(
        &mut self,
        fetch: &mut Fetch,
        path: &[u8],
        kind: &EntryKind,
    ) -> Result<Option<Digest>, SourceError> {
        if fetch.came == fetch.asked {
            let (mut paths, mut bytes) = (Vec::new(), 0);
            while paths.len() < ASKED
                && let Some(next) = fetch.later.front()
                && (paths.is_empty() || bytes + next.len() + 8 < ASKED_BYTES)
            {
                bytes += next.len() + 8;
                paths.extend(fetch.later.pop_front());
            }
            (fetch.asked, fetch.came) = (paths.len(), 0);
            self.notify(FolderEvent::Wanted { paths }).await?;
        }
        let mut kind = kind.clone();
        if let EntryKind::File { mode, .. } = &mut kind {
            *mode = base::mode(*mode, self.own_mode(path));
        }
        let wanted = Wanted {
            tree: Tree::APPLICATION,
            index: fetch.came,
            entry: &Copy::entry(kind),
            before: None,
            times: Times::ALL,
        };
        fetch.came += 1;
        match receive_file(&wanted, self.folder.copy.arriving(), self.inputs).await {
            Ok((digest, _)) => Ok(Some(digest)),
            Err(SourceError::Lost(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Renames this side's version. It counts as a new file, so the next round
    /// sends it to the host.
    async fn part(&mut self, path: &[u8]) -> Result<(), SourceError> {
        let is_taken = |aside: &[u8]| self.folder.host.contains_key(aside);
        match self.folder.copy.put_aside(path, is_taken) {
            Ok(kept) => {
                self.forget(path)?;
                self.scan.remove(path);
                self.again = true;
                let path = path.to_vec();
                Ok(self.notify(FolderEvent::Conflict { path, kept }).await?)
            }
            // A program has just removed it.
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed(path, errno, None)),
        }
    }

    /// Replaces this side's version with the host's, unless the path has
    /// changed since the scan.
    async fn put(
        &mut self,
        path: &[u8],
        own: Option<Version>,
        host: Version,
    ) -> Result<(), SourceError> {
        if self.folder.copy.look(path) != self.scan.get(path).cloned() {
            self.again = true;
            return Ok(());
        }
        let underway = Underway::Taking([own, Some(host.clone())]);
        let begun = self.folder.agreement.begin(path, underway);
        begun.map_err(not_noted)?;
        let mut put = self.try_put(path, &host);
        if let Err(Errno::NOENT | Errno::NOTDIR) = put {
            self.make_parents(path).await?;
            put = self.try_put(path, &host);
        }
        if let Err(Errno::ISDIR | Errno::NOTDIR | Errno::EXIST) = put {
            // Both sides agreed on this directory, so remove it. It may contain
            // entries on which they did not agree.
            if let Err(Errno::NOTEMPTY | Errno::EXIST) = self.folder.copy.remove(path) {
                self.part(path).await?;
            }
            put = self.try_put(path, &host);
        }
        match put {
            Ok(()) => self.agree(path, digest_of(Some(&host))),
            // A program changes the path at the same time: its parent is
            // missing, or another entry is in the way again.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ISDIR | Errno::EXIST | Errno::LOOP) => {
                self.again = true;
                self.folder.agreement.abandon(path).map_err(not_noted)
            }
            Err(errno) => Err(failed(path, errno, None)),
        }
    }

    fn try_put(&self, path: &[u8], version: &Version) -> Result<(), Errno> {
        let copy = &self.folder.copy;
        match version {
            Version::Directory { mode } => copy.directory(path, *mode),
            Version::Symlink { target } => copy.link(path, target),
            // `place` moves the received file. If only this side has changed
            // the path, no file has been received.
            Version::File { .. } => copy.place(path),
        }
    }

    /// Makes the parents again that this side has removed or replaced. The host
    /// has a change in one of them.
    async fn make_parents(&mut self, path: &[u8]) -> Result<(), SourceError> {
        let mut parents: Vec<_> = ancestors(path).map(<[u8]>::to_vec).collect();
        while let Some(parent) = parents.pop() {
            let own = self.folder.copy.look(&parent);
            let is_hosts = self.folder.host.get(&parent);
            let Some(EntryKind::Directory { mode }) = is_hosts.cloned() else {
                return Ok(());
            };
            match own {
                Some(Found::Directory { .. }) => continue,
                Some(_) => self.part(&parent).await?,
                None => {}
            }
            let made = self.folder.copy.directory(&parent, mode | 0o700);
            made.map_err(|errno| failed(&parent, errno, None))?;
            self.to_host.retain(|it| it.path != parent);
            self.agree(&parent, None)?;
        }
        Ok(())
    }

    /// Removes a path that the host has removed. Returns false for a directory
    /// that is not empty.
    pub(super) fn remove_own(&mut self, path: &[u8]) -> Result<bool, SourceError> {
        if self.folder.copy.look(path) != self.scan.get(path).cloned() {
            self.again = true;
            return Ok(true);
        }
        match self.folder.copy.remove(path) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => {
                self.forget(path)?;
                Ok(true)
            }
            Err(errno) => Err(failed(path, errno, None)),
        }
    }
}

/// The digest of a file; absent for other versions.
fn digest_of(version: Option<&Version>) -> Option<Digest> {
    match version {
        Some(Version::File { digest, .. }) => Some(*digest),
        _ => None,
    }
}
