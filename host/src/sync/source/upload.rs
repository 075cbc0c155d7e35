//! Sends listings, and the files that the agent wants.

use std::sync::Arc;

use protocol::source::{Entry, EntryKind, Tree};
use protocol::{CONTROL_CAP, Input};

use super::send::{lost, send_bytes, send_file};
use super::{Content, SourceTree, files};
use crate::connection::agent::{AgentError, Sender};
use crate::connection::request_stream::{RequestSender, Upload};

/// The maximum size of a part of a listing, in bytes. It is well below that of
/// a message.
const CHUNK: usize = CONTROL_CAP / 2;
/// The maximum size of an entry without its texts, in bytes.
const OVERHEAD: usize = 40;

/// The source trees of a request.
#[derive(Debug)]
pub(crate) struct Uploader {
    trees: Vec<SourceTree>,
}

impl Uploader {
    /// Makes an uploader. The application's tree must be the first.
    pub(crate) fn new(trees: Vec<SourceTree>) -> Self {
        Self { trees }
    }

    /// Returns the trees, the application's first.
    pub(crate) fn trees(&self) -> &[SourceTree] {
        &self.trees
    }

    /// Sends the listings of all trees.
    pub(crate) async fn list(self: &Arc<Self>, sender: &RequestSender) {
        let uploader = Arc::clone(self);
        let upload: Upload =
            Box::new(move |sender| Box::pin(async move { uploader.send_listings(sender).await }));
        sender.upload(upload).await;
    }

    /// Sends the files that the agent requests, in its order.
    pub(crate) async fn send(
        self: &Arc<Self>,
        sender: &RequestSender,
        tree: Tree,
        indices: Vec<u32>,
    ) {
        let uploader = Arc::clone(self);
        let upload: Upload = Box::new(move |sender| {
            Box::pin(async move { uploader.send_files(sender, tree, &indices).await })
        });
        sender.upload(upload).await;
    }

    async fn send_listings(&self, sender: &mut Sender) -> Result<(), AgentError> {
        for (number, tree) in (0..).zip(&self.trees) {
            for entries in chunks(&tree.entries) {
                let tree = Tree(number);
                let entries = entries.to_vec();
                sender
                    .queue_input(&Input::SourceEntries { tree, entries })
                    .await?;
            }
        }
        sender.input(&Input::SourceListed).await
    }

    async fn send_files(
        &self,
        sender: &mut Sender,
        tree: Tree,
        indices: &[u32],
    ) -> Result<(), AgentError> {
        for index in indices {
            let index = *index;
            let Some((listed, number)) = self.file(tree, index) else {
                let message = "the agent asks for what was not listed";
                lost(sender, tree, index, message).await?;
                continue;
            };
            match &listed.content {
                Content::Folder => {
                    let path = files::path(&listed.entries[number].path);
                    send_file(sender, tree, index, listed.root.join(path)).await?;
                }
                Content::Memory(contents) => {
                    send_bytes(sender, tree, index, &contents[number]).await?;
                }
                Content::Archive(archive) => archive.send(sender, tree, index, number).await?,
            }
        }
        sender.flush().await
    }

    /// Returns the tree of a requested file, and the file's index in it.
    fn file(&self, tree: Tree, index: u32) -> Option<(&SourceTree, usize)> {
        let tree = self.trees.get(usize::from(tree.0))?;
        let number = usize::try_from(index).ok()?;
        let entry = tree.entries.get(number)?;
        matches!(entry.kind, EntryKind::File { .. }).then_some((tree, number))
    }
}

/// Splits a listing into parts that fit into a message.
pub(crate) fn chunks(entries: &[Entry]) -> Vec<&[Entry]> {
    let mut chunks = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (index, entry) in entries.iter().enumerate() {
        let target = match &entry.kind {
            EntryKind::Symlink { target } => target.len(),
            _ => 0,
        };
        let own = entry.path.len() + target + OVERHEAD;
        if size + own > CHUNK && index > start {
            chunks.push(&entries[start..index]);
            (start, size) = (index, 0);
        }
        size += own;
    }
    if start < entries.len() {
        chunks.push(&entries[start..]);
    }
    chunks
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn every_chunk_fits_into_a_message() {
        let entry = |number: usize| Entry {
            path: vec![b'x'; number % 4096 + 1],
            kind: EntryKind::Symlink {
                target: vec![b'y'; number * 7 % 4096],
            },
        };
        let entries: Vec<Entry> = (0..3000).map(entry).collect();
        let chunks = chunks(&entries);
        assert!(chunks.len() > 100);
        assert_eq!(chunks.iter().map(|chunk| chunk.len()).sum::<usize>(), 3000);
        for entries in chunks {
            let tree = Tree(0);
            let entries = entries.to_vec();
            protocol::frame::encode(&Input::SourceEntries { tree, entries }).unwrap();
        }
    }
}
