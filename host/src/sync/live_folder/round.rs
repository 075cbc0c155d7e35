//! The host's side of one round of synchronisation.

use std::path::PathBuf;
use std::time::SystemTime;

use protocol::folder::{Answer, Change, FolderEvent, FolderInput};
use protocol::source::{EntryKind, Tree};
use protocol::{CONTROL_CAP, Channel, Event, Failure, FailureKind, Input};

use super::change::{NotMade, Target};
use super::listing::Listing;
use super::{Messages, Report, leftovers, unexpected};
use crate::connection::agent::{Message, Sender};
use crate::sync::source::{SourceTree, chunks, files, lost, send_file, walk_live};
use crate::sync::watch::{Grown, Watch};

/// The maximum size of the paths in one message, in bytes.
const GONE: usize = CONTROL_CAP / 2;

/// The folder, and the listing that the agent has.
pub(super) struct Side {
    root: PathBuf,
    sender: Sender,
    listing: Listing,
    pub(super) messages: Messages,
    pub(super) report: Report,
}

impl Side {
    pub(super) fn new(root: PathBuf, sender: Sender, messages: Messages) -> Self {
        Self {
            root,
            sender,
            messages,
            listing: Listing::default(),
            report: Report::default(),
        }
    }

    /// Sends the changes of the folder, and handles the agent's requests.
    /// Returns whether another round is necessary.
    pub(super) async fn round(&mut self, watch: &mut Watch) -> Result<bool, Failure> {
        let now = SystemTime::now();
        let tree = tokio::task::block_in_place(|| self.list(watch))?;
        let news = self.listing.news(tree, now);
        let mut gone = news.gone.into_iter().peekable();
        while gone.peek().is_some() {
            let (mut paths, mut bytes) = (Vec::new(), 0);
            while bytes < GONE
                && let Some(path) = gone.next()
            {
                bytes += path.len() + 8;
                paths.push(path);
            }
            self.say(&Input::Folder(FolderInput::Gone { paths }))
                .await?;
        }
        for entries in chunks(&news.entries) {
            let (tree, entries) = (Tree::APPLICATION, entries.to_vec());
            self.say(&Input::SourceEntries { tree, entries }).await?;
        }
        self.say(&Input::SourceListed).await?;
        loop {
            match self.messages.next().await? {
                Message::Event(Event::Folder(FolderEvent::Settled { again })) => return Ok(again),
                // The agent sent this before it learned of this round.
                Message::Event(Event::Folder(FolderEvent::Changed)) => {}
                Message::Event(Event::Folder(FolderEvent::Wanted { paths })) => {
                    self.send(&paths).await?;
                }
                Message::Event(Event::Folder(FolderEvent::Change(change))) => {
                    self.change(change).await?;
                }
                Message::Event(Event::Folder(FolderEvent::Conflict { path, kept })) => {
                    self.report.conflict(&path, &kept);
                }
                _ => return Err(unexpected()),
            }
        }
    }

    /// Removes the partial files of a killed shell.
    pub(super) fn remove_leftovers(&self) {
        tokio::task::block_in_place(|| {
            // The first round reports a folder that cannot be listed.
            if let Ok(tree) = walk_live(&self.root) {
                let root = std::iter::once(self.root.as_path());
                leftovers::remove(root.chain(tree.folders.iter().map(PathBuf::as_path)));
            }
        });
    }

    /// Lists the folder, and watches it.
    fn list(&mut self, watch: &mut Watch) -> Result<SourceTree, Failure> {
        loop {
            let tree = walk_live(&self.root)?;
            let root = std::iter::once(self.root.as_path());
            match watch.set(root, tree.folders.iter().map(PathBuf::as_path)) {
                Ok(Grown::No) => return Ok(tree),
                Ok(Grown::Yes) => {}
                Err(polling) => self.report.polling(polling),
            }
        }
    }

    pub(super) async fn say(&mut self, input: &Input) -> Result<(), Failure> {
        Ok(self.sender.input(input).await?)
    }

    /// Sends files. Refuses files that were not listed.
    async fn send(&mut self, paths: &[Vec<u8>]) -> Result<(), Failure> {
        for (index, path) in (0..).zip(paths) {
            let tree = Tree::APPLICATION;
            if !matches!(self.listing.get(path), Some(EntryKind::File { .. })) {
                let message = "the agent asks for what was not listed";
                lost(&mut self.sender, tree, index, message).await?;
                continue;
            }
            let file = self.root.join(files::path(path));
            match fs_err::File::open(&file) {
                Ok(_) => self.report.settled(path),
                Err(error) => self.report.unreadable(path, &error.to_string()),
            }
            send_file(&mut self.sender, tree, index, file).await?;
        }
        Ok(self.sender.flush().await?)
    }

    /// Makes a change, and sends the result.
    async fn change(&mut self, change: Change) -> Result<(), Failure> {
        let path = change.path.clone();
        let made = match change.wanted {
            Some(EntryKind::File { size, .. }) => self.receive(change, size).await?,
            _ => tokio::task::block_in_place(|| Target::new(&self.root, change)?.make()),
        };
        let answer = match made {
            Ok(kind) => {
                self.report.settled(&path);
                self.listing.brought(path, kind.clone());
                Answer::Made(kind)
            }
            Err(NotMade(answer)) => {
                if let Answer::Refused { reason } = &answer {
                    self.report.refused(&path, reason);
                }
                answer
            }
        };
        self.say(&Input::Folder(FolderInput::Answer(answer))).await
    }

    /// Receives the bytes of a file, also if the change was refused.
    async fn receive(
        &mut self,
        change: Change,
        size: u64,
    ) -> Result<Result<Option<EntryKind>, NotMade>, Failure> {
        let mut target = tokio::task::block_in_place(|| Target::new(&self.root, change));
        let mut left = size;
        while left > 0 {
            let bytes = match self.messages.next().await? {
                Message::Data(Channel::Bulk, bytes) => bytes,
                Message::Event(Event::Folder(FolderEvent::Torn)) => {
                    return Ok(Err(NotMade(Answer::Stale)));
                }
                _ => return Err(unexpected()),
            };
            left = left.checked_sub(bytes.len() as u64).ok_or_else(|| {
                let message = "the agent sends more of a file than it announced";
                Failure::new(FailureKind::Internal, message)
            })?;
            target = target.and_then(|mut target| {
                tokio::task::block_in_place(|| target.write(&bytes))?;
                Ok(target)
            });
        }
        Ok(target.and_then(|target| tokio::task::block_in_place(|| target.make())))
    }
}
