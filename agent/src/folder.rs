//! The live folder of a shell whose host is elsewhere: a copy here, kept in
//! step with the host's folder in both directions.
//!
//! ```text
//! folder/tree/        the copy, which the shell shows as its workspace
//! folder/agreed.note  what both sides last agreed on; removed first, since a
//!                     copy without it is not trusted
//! folder/arriving/    a file on its way
//! ```
//! The host begins each round, see [`protocol::folder`]; the decisions are made
//! here. A side that is cut off in the middle of a round loses nothing: what
//! was done is found to be the same on both sides, what was not is done in the
//! next round, if need be in the next shell's.

mod agreed;
mod copy;
mod give;
mod holders;
mod reconcile;
mod round;
mod scan;
mod take;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use protocol::folder::{FolderEvent, FolderInput};
use protocol::request::Project;
use protocol::source::{Entry, EntryKind, Tree};
use protocol::{Event, Failure, Input, Reply};

use crate::Agent;
use crate::dialogue::{Dialogue, HostGone, Incoming, Inputs};
use crate::source::{ENTRY_CAP, SourceError, check};
use crate::store::{Lock, ProjectDir};
use agreed::Agreement;
use copy::Copy;
pub(crate) use holders::Holders;
use scan::Found;
use watch::Watch;

/// Where a project's copy is.
pub(crate) fn tree(project: &Path) -> PathBuf {
    directory(project).join("tree")
}

/// What makes a copy trusted.
fn agreement(project: &Path) -> PathBuf {
    directory(project).join("agreed.note")
}

fn directory(project: &Path) -> PathBuf {
    project.join("folder")
}

/// Both sides of a folder, as this side knows them.
struct Folder {
    copy: Copy,
    agreement: Agreement,
    agreement_file: PathBuf,
    host: BTreeMap<Vec<u8>, EntryKind>,
    /// What the host cannot have, as it was when it said so.
    refused: BTreeMap<Vec<u8>, Option<Found>>,
}

/// Serves a folder request.
#[tracing::instrument(skip_all, fields(project = project.path))]
pub(crate) async fn folder(
    agent: &Agent,
    project: Project,
    dialogue: Dialogue,
    mut inputs: Inputs,
) -> Result<Reply, Failure> {
    let _lease = agent.store.in_use().await?;
    let id = project.id;
    let project = agent.store.project(&id.parse()?)?;
    let Some(_lock) = lock(agent, &project, &id, &dialogue, &mut inputs).await? else {
        return Ok(Reply::Nothing);
    };
    let holder = agent.folders.begin(&id);
    tokio::select! {
        reply = keep(agent, &project, &dialogue, &mut inputs) => reply,
        // Its host is gone, as another one says.
        () = holder.ended() => Err(HostGone.into()),
    }
}

/// Waits until no other session keeps the folder in step; none when the host
/// wants it no more.
async fn lock(
    agent: &Agent,
    project: &ProjectDir,
    id: &str,
    dialogue: &Dialogue,
    inputs: &mut Inputs,
) -> Result<Option<Lock>, Failure> {
    let locking = project.lock_folder(async || -> Result<(), Failure> {
        Ok(dialogue.event(Event::Folder(FolderEvent::Shared)).await?)
    });
    tokio::pin!(locking);
    loop {
        let incoming = tokio::select! {
            lock = &mut locking => return lock.map(Some),
            incoming = inputs.recv() => incoming.ok_or(HostGone)?,
        };
        match incoming {
            Incoming::Input(Input::Folder(FolderInput::TakeOver)) => agent.folders.end(id),
            Incoming::Input(Input::StdinClosed) => return Ok(None),
            Incoming::Input(_) | Incoming::Data(..) => {
                return Err(
                    SourceError::Protocol("something else than a wish to wait came").into(),
                );
            }
        }
    }
}

/// Keeps the folder in step until the host ends it.
async fn keep(
    agent: &Agent,
    project: &ProjectDir,
    dialogue: &Dialogue,
    inputs: &mut Inputs,
) -> Result<Reply, Failure> {
    let mut folder = Folder::open(project.path())?;
    let mut watch = Watch::start(folder.copy.root());
    dialogue.event(Event::Folder(FolderEvent::Ready)).await?;
    let mut is_told = false;
    loop {
        let incoming = tokio::select! {
            incoming = inputs.recv() => incoming.ok_or(HostGone)?,
            () = watch.changed(), if !is_told => {
                is_told = true;
                dialogue.event(Event::Folder(FolderEvent::Changed)).await?;
                continue;
            }
        };
        match incoming {
            Incoming::Input(Input::SourceEntries { tree, entries })
                if tree == Tree::APPLICATION =>
            {
                folder.listed(entries)?;
            }
            Incoming::Input(Input::Folder(FolderInput::Gone { paths })) => {
                for path in paths {
                    folder.host.remove(&path);
                }
            }
            Incoming::Input(Input::SourceListed) => {
                is_told = false;
                watch.reset();
                let again = folder.round(agent, dialogue, inputs).await?;
                let settled = FolderEvent::Settled { again };
                dialogue.event(Event::Folder(settled)).await?;
            }
            Incoming::Input(Input::StdinClosed) => return Ok(Reply::Nothing),
            Incoming::Input(_) | Incoming::Data(..) => {
                return Err(SourceError::Protocol("something else than a listing came").into());
            }
        }
    }
}

impl Folder {
    fn open(project: &Path) -> Result<Self, SourceError> {
        let file = agreement(project);
        let load = Agreement::load(&file);
        let known = load.map_err(|source| super::source::write_error(&file, source))?;
        let copy = Copy::open(&directory(project), known.is_some())?;
        let folder = Self {
            copy,
            agreement: known.unwrap_or_default(),
            agreement_file: file,
            host: BTreeMap::new(),
            refused: BTreeMap::new(),
        };
        // From now on, what is in the copy is somebody's work.
        folder.save()?;
        Ok(folder)
    }

    fn save(&self) -> Result<(), SourceError> {
        self.agreement
            .save(&self.agreement_file)
            .map_err(|source| super::source::write_error(&self.agreement_file, source))
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

/// The directory that a path is in; absent for the folder itself.
fn parent(path: &[u8]) -> Option<&[u8]> {
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    Some(&path[..slash])
}

/// All directories that a path is in.
fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(parent(path), |path| parent(path))
}
