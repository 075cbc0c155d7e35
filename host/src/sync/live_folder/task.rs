//! The task of a shell that keeps the folder in step, or stands by while
//! another shell does.

use std::time::Duration;

use protocol::folder::{FolderEvent, FolderInput};
use protocol::{Event, Failure, Input};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::round::Side;
use super::{Report, SyncLock, unexpected};
use crate::connection::agent::Message;
use crate::sync::watch::Watch;

/// After a round both sides rest this many times as long as it took.
const REST: u32 = 4;
/// How often a shell looks whether the one that keeps the folder is still there.
const LOOK: Duration = Duration::from_millis(500);
/// So long a shell waits for the one that keeps the folder, which may be
/// suspended.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the task works with.
pub(super) struct SyncTask {
    pub(super) side: Side,
    pub(super) watch: Watch,
    pub(super) sync_lock: SyncLock,
}

/// What comes while another shell keeps the folder in step.
enum Standby {
    /// It is in step.
    Settled,
    /// It is this shell's now.
    Ours,
}

impl SyncTask {
    /// `ready` is told when the machine has what the folder had; why that failed
    /// is told at the end.
    pub(super) async fn run(
        mut self,
        ready: oneshot::Sender<()>,
        mut end: oneshot::Receiver<()>,
    ) -> Result<Report, Failure> {
        let mut ready = Some(ready);
        if !self.sync_lock.take()?
            && let Standby::Settled = self.stand_by(Some(PATIENCE)).await?
        {
            let _ = ready.take().map(|it| it.send(()));
            let is_over = tokio::select! {
                turn = self.stand_by(None) => turn.map(|_| false)?,
                _ = &mut end => true,
            };
            if is_over {
                // What this shell has changed last is brought, too.
                if let Standby::Ours = self.stand_by(Some(PATIENCE)).await? {
                    self.take_over().await?;
                }
                return Ok(self.side.report);
            }
        }
        self.take_over().await?;
        let _ = ready.map(|it| it.send(()));
        self.keep(end).await
    }

    /// Waits until the folder is this shell's, and before that, with a limit,
    /// until the shell that keeps it has brought what is there now.
    async fn stand_by(&mut self, limit: Option<Duration>) -> Result<Standby, Failure> {
        if limit.is_some() {
            self.side.say(&Input::Folder(FolderInput::Settle)).await?;
        }
        let until = Instant::now() + limit.unwrap_or_default();
        loop {
            tokio::select! {
                message = self.side.messages.next() => match message? {
                    // It may answer a question that was given up.
                    Message::Event(Event::Folder(FolderEvent::Shared)) if limit.is_none() => {}
                    Message::Event(Event::Folder(FolderEvent::Shared)) => return Ok(Standby::Settled),
                    _ => return Err(unexpected()),
                },
                () = tokio::time::sleep_until(until), if limit.is_some() => {
                    return Ok(Standby::Settled);
                }
                () = tokio::time::sleep(LOOK) => if self.sync_lock.take()? {
                    return Ok(Standby::Ours);
                },
            }
        }
    }

    /// Begins to keep the folder in step.
    async fn take_over(&mut self) -> Result<(), Failure> {
        self.side.say(&Input::Folder(FolderInput::TakeOver)).await?;
        loop {
            match self.side.messages.next().await? {
                Message::Event(Event::Folder(FolderEvent::Ready)) => break,
                // It was on its way.
                Message::Event(Event::Folder(FolderEvent::Shared)) => {}
                _ => return Err(unexpected()),
            }
        }
        self.side.remove_leftovers();
        self.settle().await
    }

    /// Keeps the folder in step until the end.
    async fn keep(mut self, mut end: oneshot::Receiver<()>) -> Result<Report, Failure> {
        let mut next = Instant::now();
        loop {
            tokio::select! {
                _ = &mut end => break,
                () = self.watch.changed() => {}
                message = self.side.messages.next() => match message? {
                    Message::Event(Event::Folder(FolderEvent::Changed)) => {}
                    _ => return Err(unexpected()),
                },
            }
            // What is ignored changes, too, and is only known by looking.
            tokio::select! {
                _ = &mut end => break,
                () = tokio::time::sleep_until(next) => {}
            }
            let begun = Instant::now();
            self.settle().await?;
            next = Instant::now() + begun.elapsed() * REST;
        }
        self.settle().await?;
        self.side.say(&Input::Folder(FolderInput::End)).await?;
        Ok(self.side.report)
    }

    /// Until both sides have the same.
    async fn settle(&mut self) -> Result<(), Failure> {
        while self.side.round(&mut self.watch).await? {}
        Ok(())
    }
}
