//! Sends the agent's changes to the host.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use protocol::folder::{Answer, Change, FolderEvent, FolderInput};
use protocol::source::EntryKind;
use protocol::{Channel, Event, Input};
use tokio::sync::mpsc;

use super::base::Agreement;
use super::copy::{BUFFER, Copy};
use super::reconcile::{Underway, Version};
use super::round::{Round, ToHost};
use super::scan::Found;
use super::{Folder, ancestors, not_noted};
use crate::images::digest::{Digest, Hasher};
use crate::request::stream::{HostGone, Incoming, Inputs, RequestStream};
use crate::sync::source::SourceError;

/// A change that the host has to make.
struct HostChange {
    change: Change,
    /// The agent's version.
    own: Option<Found>,
    /// The host's current version.
    host: Option<Version>,
}

/// A change that was sent to the host, with the digest of the sent file.
struct SentChange {
    host_change: HostChange,
    digest: Option<Digest>,
}

impl Round<'_> {
    /// Sends all changes to the host, and records which of them it has made.
    pub(super) async fn give(&mut self) -> Result<(), SourceError> {
        let host_changes = self.host_changes();
        let (sent, mut sent_changes) = mpsc::unbounded_channel();
        let Folder {
            copy,
            agreement,
            host,
            refused,
        } = &mut *self.folder;
        let agreement = RwLock::new(agreement);
        // Receives answers while further changes are sent.
        let receive = async {
            while let Some(SentChange {
                host_change,
                digest,
            }) = sent_changes.recv().await
            {
                let answer = answer(self.inputs).await?;
                // Records each answer at once, because the connection may
                // break.
                let mut agreement = agreement.write().unwrap_or_else(PoisonError::into_inner);
                let noted = match answer {
                    Answer::Made(kind) => {
                        self.changed = true;
                        made(&mut agreement, host, &host_change, kind, digest)
                    }
                    Answer::Stale => {
                        self.again = true;
                        agreement.abandon(&host_change.change.path)
                    }
                    Answer::Refused { reason: _ } if host_change.own.is_none() => {
                        // The host keeps the path, so the next round brings it
                        // back.
                        (self.changed, self.again) = (true, true);
                        agreement.forget(&host_change.change.path)
                    }
                    Answer::Refused { reason } => {
                        let path = host_change.change.path;
                        tracing::info!(path = %path.escape_ascii(), reason, "refused");
                        let noted = agreement.abandon(&path);
                        refused.insert(path, host_change.own);
                        noted
                    }
                };
                noted.map_err(not_noted)?;
            }
            Ok(())
        };
        tokio::try_join!(
            send(host_changes, self.stream, copy, &agreement, sent),
            receive
        )?;
        Ok(())
    }

    /// The changes in order: removals first, children before parents; then all
    /// others, parents first.
    fn host_changes(&mut self) -> Vec<HostChange> {
        let (mut host_changes, mut made) = (Vec::new(), Vec::new());
        for ToHost { path, host } in std::mem::take(&mut self.to_host) {
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
                &mut host_changes
            } else {
                &mut made
            };
            let expected = self.folder.host.get(&path).cloned();
            let change = Change {
                path,
                expected,
                wanted,
            };
            list.push(HostChange { change, own, host });
        }
        host_changes.reverse();
        host_changes.append(&mut made);
        host_changes
    }
}

impl Folder {
    /// Whether the host has refused this version of the path, or one of its
    /// parents.
    fn is_refused(&self, path: &[u8], own: Option<&Found>) -> bool {
        let same = self.refused.get(path).is_some_and(|it| it.as_ref() == own);
        same || ancestors(path).any(|it| self.refused.contains_key(it))
    }
}

/// Records a change that the host has made.
fn made(
    agreement: &mut Agreement,
    host: &mut BTreeMap<Vec<u8>, EntryKind>,
    host_change: &HostChange,
    kind: Option<EntryKind>,
    digest: Option<Digest>,
) -> io::Result<()> {
    let path = &host_change.change.path;
    if let (Some(kind), Some(own)) = (kind, &host_change.own) {
        agreement.agree(path, &kind, own, digest)?;
        host.insert(path.clone(), kind);
        Ok(())
    } else {
        host.remove(path);
        agreement.forget(path)
    }
}

/// Receives the next answer.
async fn answer(inputs: &mut Inputs) -> Result<Answer, SourceError> {
    match inputs.recv().await.ok_or(HostGone)? {
        Incoming::Input(Input::Folder(FolderInput::Answer(answer))) => Ok(answer),
        _ => Err(SourceError::Protocol("something else than an answer came")),
    }
}

/// The agreed state, which the receiving half changes at the same time.
type Shared<'a> = RwLock<&'a mut Agreement>;

async fn send(
    host_changes: Vec<HostChange>,
    stream: &RequestStream,
    copy: &Copy,
    agreement: &Shared<'_>,
    sent: mpsc::UnboundedSender<SentChange>,
) -> Result<(), SourceError> {
    let begin = |host_change: &HostChange, own: Option<Version>| {
        let agreement = agreement.read().unwrap_or_else(PoisonError::into_inner);
        let underway = Underway::Giving([host_change.host.clone(), own]);
        let begun = agreement.begin(&host_change.change.path, underway);
        begun.map_err(not_noted)
    };
    for mut host_change in host_changes {
        let mut digest = None;
        if matches!(host_change.own, Some(Found::File { .. })) {
            // The file has just vanished. The next round handles that.
            let Ok(file) = copy.read(&host_change.change.path) else {
                continue;
            };
            let Ok(metadata) = file.metadata() else {
                continue;
            };
            let mode = metadata.permissions().mode() & 0o777;
            let (size, mode) = (metadata.len(), u16::try_from(mode).unwrap_or_default());
            host_change.change.wanted = Some(EntryKind::File {
                size,
                mode,
                modified: 0,
                stamp: 0,
            });
            let begin = |digest| begin(&host_change, Some(Version::File { digest, mode }));
            if size == 0 {
                digest = Some(Digest::of(b""));
                begin(Digest::of(b""))?;
            }
            notify(stream, FolderEvent::Change(host_change.change.clone())).await?;
            if size > 0 {
                digest = send_file(file, size, stream, begin).await?;
            }
        } else {
            begin(
                &host_change,
                host_change.own.as_ref().and_then(|own| own.version(None)),
            )?;
            notify(stream, FolderEvent::Change(host_change.change.clone())).await?;
        }
        // The receiver lives until it has the last answer.
        let _ = sent.send(SentChange {
            host_change,
            digest,
        });
    }
    Ok(())
}

/// Sends exactly the announced number of bytes, or reports that it cannot.
/// Computes the digest before it sends the last bytes, because the host makes
/// the change only after those.
async fn send_file(
    mut file: File,
    size: u64,
    stream: &RequestStream,
    begin: impl FnOnce(Digest) -> Result<(), SourceError>,
) -> Result<Option<Digest>, SourceError> {
    let (mut hasher, mut left) = (Hasher::new(), size);
    let mut buffer = Vec::new();
    while left > 0 {
        if !buffer.is_empty() {
            stream.data(Channel::Bulk, Bytes::from(buffer)).await?;
        }
        buffer = vec![0; BUFFER.min(usize::try_from(left).unwrap_or(usize::MAX))];
        let count = tokio::task::block_in_place(|| file.read(&mut buffer));
        let Some(count) = count.ok().filter(|count| *count > 0) else {
            notify(stream, FolderEvent::Torn).await?;
            return Ok(None);
        };
        buffer.truncate(count);
        hasher.update(&buffer);
        left -= count as u64;
    }
    let digest = hasher.finish();
    begin(digest)?;
    stream.data(Channel::Bulk, Bytes::from(buffer)).await?;
    Ok(Some(digest))
}

async fn notify(stream: &RequestStream, event: FolderEvent) -> Result<(), HostGone> {
    stream.event(Event::Folder(event)).await
}
