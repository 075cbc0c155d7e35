//! What the host gets from this side.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

use bytes::Bytes;
use protocol::folder::{Answer, Change, FolderEvent, FolderInput};
use protocol::source::EntryKind;
use protocol::{Channel, Event, Input};
use tokio::sync::mpsc;

use super::copy::{BUFFER, Copy};
use super::round::Round;
use super::scan::Found;
use super::{Folder, ancestors};
use crate::dialogue::{Dialogue, HostGone, Incoming, Inputs};
use crate::digest::{Digest, Hasher};
use crate::source::SourceError;

/// A change that the host is told.
struct Gift {
    change: Change,
    /// What is here.
    own: Option<Found>,
}

/// A change that the host was told, with the content of a file.
struct Given {
    gift: Gift,
    digest: Option<Digest>,
}

impl Round<'_> {
    /// Tells the host all changes, and remembers which of them it has made.
    pub(super) async fn give(&mut self) -> Result<(), SourceError> {
        let gifts = self.gifts();
        let (sent, given) = mpsc::unbounded_channel();
        let mut answered = Vec::new();
        // The host answers while more is on its way to it.
        tokio::try_join!(
            send(gifts, self.dialogue, &self.folder.copy, sent),
            receive(given, self.inputs, &mut answered),
        )?;
        for (given, answer) in answered {
            let Gift { change, own } = given.gift;
            let path = change.path;
            match answer {
                Answer::Made(kind) => {
                    self.changed = true;
                    self.folder.made(&path, kind, own.as_ref(), given.digest);
                }
                Answer::Stale => self.again = true,
                Answer::Refused { reason: _ } if own.is_none() => {
                    // It stays there, and so comes back here.
                    (self.changed, self.again) = (true, true);
                    self.folder.agreement.forget(&path);
                }
                Answer::Refused { reason } => {
                    tracing::info!(path = %path.escape_ascii(), reason, "refused");
                    self.folder.refused.insert(path, own);
                }
            }
        }
        Ok(())
    }

    /// Removals first, those in a directory before it; then the rest, parents
    /// first.
    fn gifts(&mut self) -> Vec<Gift> {
        let (mut gifts, mut made) = (Vec::new(), Vec::new());
        for path in std::mem::take(&mut self.gives) {
            let own = self.folder.copy.look(&path);
            if self.folder.is_refused(&path, own.as_ref()) {
                continue;
            }
            let wanted = own.as_ref().map(|own| match own {
                Found::Directory { mode } => EntryKind::Directory { mode: *mode },
                Found::Symlink { target } => EntryKind::Symlink {
                    target: target.clone(),
                },
                Found::File { mode, .. } => EntryKind::File {
                    size: 0,
                    mode: *mode,
                    modified: 0,
                    stamp: 0,
                },
            });
            let list = if wanted.is_none() {
                &mut gifts
            } else {
                &mut made
            };
            let expected = self.folder.host.get(&path).cloned();
            let change = Change {
                path,
                expected,
                wanted,
            };
            list.push(Gift { change, own });
        }
        gifts.reverse();
        gifts.append(&mut made);
        gifts
    }
}

impl Folder {
    /// The host has made a change.
    fn made(
        &mut self,
        path: &[u8],
        kind: Option<EntryKind>,
        own: Option<&Found>,
        digest: Option<Digest>,
    ) {
        if let (Some(kind), Some(own)) = (kind, own) {
            self.agreement.agree(path, &kind, own, digest);
            self.host.insert(path.to_vec(), kind);
        } else {
            self.agreement.forget(path);
            self.host.remove(path);
        }
    }

    /// Whether the host has said that it cannot have this, or what it is in.
    fn is_refused(&self, path: &[u8], own: Option<&Found>) -> bool {
        let same = self.refused.get(path).is_some_and(|it| it.as_ref() == own);
        same || ancestors(path).any(|it| self.refused.contains_key(it))
    }
}

async fn send(
    gifts: Vec<Gift>,
    dialogue: &Dialogue,
    copy: &Copy,
    sent: mpsc::UnboundedSender<Given>,
) -> Result<(), SourceError> {
    for mut gift in gifts {
        let mut digest = None;
        if matches!(gift.own, Some(Found::File { .. })) {
            // What has just vanished is seen by the next round.
            let Ok(file) = copy.read(&gift.change.path) else {
                continue;
            };
            let Ok(metadata) = file.metadata() else {
                continue;
            };
            let mode = metadata.permissions().mode() & 0o777;
            gift.change.wanted = Some(EntryKind::File {
                size: metadata.len(),
                mode: u16::try_from(mode).unwrap_or_default(),
                modified: 0,
                stamp: 0,
            });
            tell(dialogue, FolderEvent::Change(gift.change.clone())).await?;
            digest = send_file(file, metadata.len(), dialogue).await?;
        } else {
            tell(dialogue, FolderEvent::Change(gift.change.clone())).await?;
        }
        let given = Given { gift, digest };
        // The receiver lives until the last answer has come.
        let _ = sent.send(given);
    }
    Ok(())
}

/// Sends exactly as many bytes as were announced, or says that they do not
/// come.
async fn send_file(
    mut file: File,
    size: u64,
    dialogue: &Dialogue,
) -> Result<Option<Digest>, HostGone> {
    let (mut hasher, mut left) = (Hasher::new(), size);
    while left > 0 {
        let wanted = BUFFER.min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut buffer = vec![0; wanted];
        let count = tokio::task::block_in_place(|| file.read(&mut buffer));
        let Some(count) = count.ok().filter(|count| *count > 0) else {
            tell(dialogue, FolderEvent::Torn).await?;
            return Ok(None);
        };
        buffer.truncate(count);
        hasher.update(&buffer);
        left -= count as u64;
        dialogue.data(Channel::Bulk, Bytes::from(buffer)).await?;
    }
    Ok(Some(hasher.finish()))
}

async fn receive(
    mut given: mpsc::UnboundedReceiver<Given>,
    inputs: &mut Inputs,
    answered: &mut Vec<(Given, Answer)>,
) -> Result<(), SourceError> {
    while let Some(given) = given.recv().await {
        match inputs.recv().await.ok_or(HostGone)? {
            Incoming::Input(Input::Folder(FolderInput::Answer(answer))) => {
                answered.push((given, answer));
            }
            _ => return Err(SourceError::Protocol("something else than an answer came")),
        }
    }
    Ok(())
}

async fn tell(dialogue: &Dialogue, event: FolderEvent) -> Result<(), HostGone> {
    dialogue.event(Event::Folder(event)).await
}
