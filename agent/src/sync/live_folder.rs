//! Keeps the live folder of a shell in step, if its host is on another machine:
//! a copy on the agent's side, synchronised with the host's folder in both
//! directions.
//!
//! ```text
//! folder/tree/           the copy, which the shell shows as its workspace
//! folder/agreed.note     the state that both sides last agreed on; removed first,
//!                        because a copy without it is not trusted
//! folder/agreed.journal  changes of that state during a round
//! folder/arriving/       a file in transfer
//! ```
//!
//! The host starts each round, see [`protocol::folder`]; the agent decides. An
//! interrupted round loses nothing: before each change, the journal records
//! that one side may have it. So an edit after that, before the next round,
//! counts as an edit of the new version and not as a conflict.

mod base;
mod copy;
mod from_host;
mod reconcile;
mod round;
mod scan;
mod sessions;
#[cfg(test)]
mod tests;
mod to_host;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use protocol::folder::{FolderEvent, FolderInput};
use protocol::request::Project;
use protocol::source::{Entry, EntryKind, Tree};
use protocol::{Event, Failure, Input, Reply};

use crate::request::store_use;
use crate::request::stream::{HostGone, Incoming, Inputs, RequestStream};
use crate::store::{Lock, ProjectDir, Store, UseKind};
use crate::sync::source::{ENTRY_CAP, SourceError, check};
use base::Agreement;
use copy::Copy;
use scan::Found;
pub(crate) use sessions::SyncSessions;
use sessions::{SettleRequest, SyncSession};
use watch::Watch;

/// The path of a project's copy.
pub(crate) fn tree(project: &Path) -> PathBuf {
    directory(project).join("tree")
}

/// The file of the agreed state. A copy without it is not trusted.
fn agreement(project: &Path) -> PathBuf {
    directory(project).join("agreed.note")
}

fn directory(project: &Path) -> PathBuf {
    project.join("folder")
}

/// The state of both sides of a folder, as far as the agent knows it.
struct Folder {
    copy: Copy,
    agreement: Agreement,
    host: BTreeMap<Vec<u8>, EntryKind>,
    /// Changes that the host refused, with the agent's version at that time.
    refused: BTreeMap<Vec<u8>, Option<Found>>,
}

/// Serves a folder request.
#[tracing::instrument(skip_all, fields(project = project.path))]
pub(crate) async fn folder(
    store: &Store,
    sessions: &SyncSessions,
    project: Project,
    stream: RequestStream,
    mut inputs: Inputs,
) -> Result<Reply, Failure> {
    let _use_lock = store_use::in_use(store, UseKind::Session, &stream).await?;
    let id = project.id;
    let project = store.project(&id.parse()?)?;
    let Some(_lock) = lead(sessions, &project, &id, &stream, &mut inputs).await? else {
        return Ok(Reply::Nothing);
    };
    let end_of_session = stream.end_of_session.clone();
    let mut keeper = Keeper {
        store,
        folder: Folder::open(project.path())?,
        stream: &stream,
        session: sessions.begin(&id, end_of_session),
        settle_requests: Vec::new(),
        is_notified: false,
    };
    keeper.keep(&mut inputs).await
}

/// Waits until the host wants this session to keep the folder in step, and
/// until no other session does. Absent if the host ends the request before.
async fn lead(
    sessions: &SyncSessions,
    project: &ProjectDir,
    id: &str,
    stream: &RequestStream,
    inputs: &mut Inputs,
) -> Result<Option<Lock>, Failure> {
    let mut is_wished = false;
    loop {
        let incoming = tokio::select! {
            incoming = inputs.recv() => incoming.ok_or(HostGone)?,
            () = sessions.settled(id), if is_wished => {
                is_wished = false;
                stream.event(Event::Folder(FolderEvent::Shared)).await?;
                continue;
            }
        };
        match incoming {
            Incoming::Input(Input::Folder(FolderInput::Settle)) => is_wished = true,
            Incoming::Input(Input::Folder(FolderInput::TakeOver)) => break,
            Incoming::Input(Input::Folder(FolderInput::End)) => return Ok(None),
            Incoming::Input(_) | Incoming::Data(..) => return Err(out_of_place()),
        }
    }
    sessions.end(id);
    let waited = async || Ok::<(), Failure>(());
    tokio::select! {
        lock = project.lock_folder(waited) => lock.map(Some),
        incoming = inputs.recv() => match incoming.ok_or(HostGone)? {
            Incoming::Input(Input::Folder(FolderInput::End)) => Ok(None),
            Incoming::Input(_) | Incoming::Data(..) => Err(out_of_place()),
        },
    }
}

fn out_of_place() -> Failure {
    SourceError::Protocol("something else than a listing came").into()
}

/// The session that keeps a folder in step.
struct Keeper<'a> {
    store: &'a Store,
    folder: Folder,
    stream: &'a RequestStream,
    session: SyncSession,
    /// Settle requests of other sessions, each with the number of rounds since
    /// it.
    settle_requests: Vec<(SettleRequest, u32)>,
    /// Whether the host knows that a round is due.
    is_notified: bool,
}

/// Rounds that fulfil a settle request. The host may have begun the listing of
/// the first one before the request, so only the second one counts.
const ROUNDS: u32 = 2;

impl Keeper<'_> {
    /// Keeps the folder in step until the host ends it.
    async fn keep(&mut self, inputs: &mut Inputs) -> Result<Reply, Failure> {
        let mut watch = Watch::start(self.folder.copy.root());
        let ready = Event::Folder(FolderEvent::Ready);
        self.stream.event(ready).await?;
        loop {
            let incoming = tokio::select! {
                incoming = inputs.recv() => incoming.ok_or(HostGone)?,
                () = watch.changed(), if !self.is_notified => {
                    self.notify().await?;
                    continue;
                }
                Some(waiting_session) = self.session.settle_requests.recv() => {
                    self.settle_requests.push((waiting_session, 0));
                    self.notify().await?;
                    continue;
                }
            };
            match incoming {
                Incoming::Input(Input::SourceEntries { tree, entries })
                    if tree == Tree::APPLICATION =>
                {
                    self.folder.listed(entries)?;
                }
                Incoming::Input(Input::Folder(FolderInput::Gone { paths })) => {
                    for path in paths {
                        self.folder.host.remove(&path);
                    }
                }
                Incoming::Input(Input::SourceListed) => {
                    self.is_notified = false;
                    watch.reset();
                    self.round(inputs).await?;
                }
                Incoming::Input(Input::Folder(FolderInput::End)) => return Ok(Reply::Nothing),
                Incoming::Input(_) | Incoming::Data(..) => return Err(out_of_place()),
            }
        }
    }

    async fn round(&mut self, inputs: &mut Inputs) -> Result<(), Failure> {
        let again = self.folder.round(self.store, self.stream, inputs).await?;
        let settled = FolderEvent::Settled { again };
        self.stream.event(Event::Folder(settled)).await?;
        if again {
            return Ok(());
        }
        for (waiting_session, rounds) in std::mem::take(&mut self.settle_requests) {
            if rounds + 1 < ROUNDS {
                self.settle_requests.push((waiting_session, rounds + 1));
            } else {
                // This fails if the other session no longer waits.
                let _ = waiting_session.send(());
            }
        }
        if self.settle_requests.is_empty() {
            return Ok(());
        }
        self.notify().await
    }

    /// Notifies the host that a round is due.
    async fn notify(&mut self) -> Result<(), Failure> {
        if !std::mem::replace(&mut self.is_notified, true) {
            let changed = Event::Folder(FolderEvent::Changed);
            self.stream.event(changed).await?;
        }
        Ok(())
    }
}

impl Folder {
    fn open(project: &Path) -> Result<Self, SourceError> {
        let load = fs_err::create_dir_all(directory(project))
            .and_then(|()| Agreement::load(&agreement(project)));
        let (agreement, is_known) = load.map_err(not_noted)?;
        let mut folder = Self {
            copy: Copy::open(&directory(project), is_known)?,
            agreement,
            host: BTreeMap::new(),
            refused: BTreeMap::new(),
        };
        // From now on the copy may contain a user's work.
        folder.save()?;
        Ok(folder)
    }

    fn save(&mut self) -> Result<(), SourceError> {
        self.agreement.save().map_err(not_noted)
    }

    fn listed(&mut self, entries: Vec<Entry>) -> Result<(), SourceError> {
        for entry in entries {
            check(None, &entry)?;
            self.host.insert(entry.path, entry.kind);
        }
        if self.host.len() > ENTRY_CAP {
            return Err(SourceError::Protocol("it has more than 2 million files"));
        }
        Ok(())
    }
}

/// The error for a failed read or write of the agreed state.
fn not_noted(source: std::io::Error) -> SourceError {
    SourceError::Write {
        path: "agreed.note".to_owned(),
        source,
    }
}

/// The parent of a path; absent for the folder itself.
fn parent(path: &[u8]) -> Option<&[u8]> {
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    Some(&path[..slash])
}

/// All parents of a path, the innermost first.
fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(parent(path), |path| parent(path))
}
