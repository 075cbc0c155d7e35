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

/// After a round, both sides pause this many times as long as it took.
const REST: u32 = 4;
/// How often a waiting shell tries to take the lock.
const LOOK: Duration = Duration::from_millis(500);
/// How long a shell waits for the shell that keeps the folder in step. That one
/// may be suspended.
const PATIENCE: Duration = Duration::from_secs(5);

/// The state of the task.
pub(super) struct SyncTask {
    pub(super) side: Side,
    pub(super) watch: Watch,
    pub(super) sync_lock: SyncLock,
}

/// How a wait for the other shell ended.
enum Standby {
    /// The other shell has synchronised, or the time is over.
    Settled,
    /// This shell has the lock now.
    Ours,
}

impl SyncTask {
    /// Runs the session. Sends to `ready` when the machine has the folder. If
    /// that fails, drops `ready`, and returns the failure.
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
                // The last changes of this shell must be synchronised, too.
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

    /// Waits until this shell has the lock. With a limit, also asks the agent
    /// to report when the other shell has synchronised the present state, and
    /// returns then.
    async fn stand_by(&mut self, limit: Option<Duration>) -> Result<Standby, Failure> {
        if limit.is_some() {
            self.side.say(&Input::Folder(FolderInput::Settle)).await?;
        }
        let until = Instant::now() + limit.unwrap_or_default();
        loop {
            tokio::select! {
                message = self.side.messages.next() => match message? {
                    // This answers an earlier request, whose time is over.
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

    /// Starts to keep the folder in step.
    async fn take_over(&mut self) -> Result<(), Failure> {
        self.side.say(&Input::Folder(FolderInput::TakeOver)).await?;
        loop {
            match self.side.messages.next().await? {
                Message::Event(Event::Folder(FolderEvent::Ready)) => break,
                // The agent sent this before it received `TakeOver`.
                Message::Event(Event::Folder(FolderEvent::Shared)) => {}
                _ => return Err(unexpected()),
            }
        }
        self.side.remove_leftovers();
        self.settle().await
    }

    /// Keeps the folder in step until the shell ends.
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
            // Ignored files cause changes, too, and each needs a new listing.
            // So pause before it.
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

    /// Runs rounds until both sides are equal.
    async fn settle(&mut self) -> Result<(), Failure> {
        while self.side.round(&mut self.watch).await? {}
        Ok(())
    }
}
