//! Brings the host's changes to the agent's copy.

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

/// The most files that are asked for at a time.
const ASKED: usize = 256;
/// The most bytes of their paths.
const ASKED_BYTES: usize = protocol::CONTROL_CAP / 2;

/// Files that are on their way, in their order.
#[derive(Debug, Default)]
struct Fetch {
    /// Not asked for yet.
    later: VecDeque<Vec<u8>>,
    /// Places of the last question.
    asked: usize,
    /// How many of them have come.
    came: usize,
}

impl Round<'_> {
    /// Decides on all paths, and takes the host's versions.
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
                        // The host could not read it, and knows that.
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

    /// Directories that the host has removed go at last, unless this side has
    /// something new in them.
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
        // Parents first.
        self.to_host
            .sort_unstable_by(|one, other| one.path.cmp(&other.path));
        Ok(())
    }

    /// Receives the next file; absent when the host cannot read it.
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

    /// Gives this side's version another name: it is new there, and goes to the
    /// host in the next round.
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
            // It has just gone.
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed(path, errno, None)),
        }
    }

    /// Puts the host's version into the place of this side's, unless something
    /// has happened there since the scan.
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
            // What is in the way was agreed on; what is in a directory was not.
            if let Err(Errno::NOTEMPTY | Errno::EXIST) = self.folder.copy.remove(path) {
                self.part(path).await?;
            }
            put = self.try_put(path, &host);
        }
        match put {
            Ok(()) => self.agree(path, digest_of(Some(&host))),
            // The directory that it belongs in is not there, or something is
            // in the way again: a program works there right now.
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
            // An untouched file of the host's is taken when only this side has
            // touched it: its content has not come.
            Version::File { .. } => copy.place(path),
        }
    }

    /// Makes the directories again that this side has removed or replaced while
    /// the host has changed something in them.
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

    /// Removes a path that the host has removed; false when it is a directory
    /// in which something is.
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

/// The content of a file.
fn digest_of(version: Option<&Version>) -> Option<Digest> {
    match version {
        Some(Version::File { digest, .. }) => Some(*digest),
        _ => None,
    }
}
