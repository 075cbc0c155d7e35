//! A project's folder, live in a machine that cannot see it: while a shell
//! runs, changes on either side are brought to the other.
//!
//! The agent decides, see [`protocol::folder`]; this side tells what has
//! changed, and makes the changes that it is asked for.

mod change;
mod company;
mod listing;
mod report;
mod round;

use std::path::PathBuf;

use protocol::folder::{FolderEvent, FolderInput};
use protocol::{Event, Failure, FailureKind, Input, Request, request};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::agent::{Agent, AgentError, Exchange, Message};
use crate::watch::Watch;
use round::Side;

pub(crate) use company::Company;
pub(crate) use report::Report;

/// Messages of the agent that wait.
const QUEUE: usize = 64;
/// After a round both sides rest this many times as long as it took.
const REST: u32 = 4;

/// A folder that is kept in step.
#[derive(Debug)]
pub(crate) struct Live {
    work: JoinHandle<Result<Report, Failure>>,
    end: oneshot::Sender<()>,
}

impl Live {
    /// Brings the folder into the machine, and keeps it in step from then on.
    pub(crate) async fn begin(
        agent: &Agent,
        project: request::Project,
        root: PathBuf,
        company: Company,
    ) -> Result<Self, Failure> {
        let request = Request::Folder { project };
        let Exchange {
            sender,
            mut receiver,
        } = agent.request(&request).await?;
        let (heard, messages) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            loop {
                let message = receiver.next().await;
                let is_last = matches!(message, Err(_) | Ok(Message::Outcome(_)));
                if heard.send(message).await.is_err() || is_last {
                    return;
                }
            }
        });
        let (ready, begun) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let (watch, polling) = Watch::new();
        let mut side = Side::new(root, sender, Messages(messages));
        if let Some(polling) = polling {
            side.report.polling(polling);
        }
        let work = Work {
            side,
            watch,
            company,
        };
        let work = tokio::spawn(work.run(ready, ended));
        // Without a beginning there is an end that says why.
        if begun.await.is_err() {
            return Err(joined(work).await.err().unwrap_or_else(unexpected));
        }
        Ok(Self { work, end })
    }

    /// Settles what is left, and stops.
    pub(crate) async fn finish(self) -> Result<Report, Failure> {
        // It may have failed already.
        let _ = self.end.send(());
        joined(self.work).await
    }
}

async fn joined(work: JoinHandle<Result<Report, Failure>>) -> Result<Report, Failure> {
    let joined = work.await;
    joined.map_err(|error| Failure::from_error(FailureKind::Internal, &error))?
}

fn unexpected() -> Failure {
    let message = "the agent says something about the folder that does not belong there";
    Failure::new(FailureKind::Internal, message)
}

/// What the agent says.
struct Messages(mpsc::Receiver<Result<Message, AgentError>>);

impl Messages {
    /// The next message. May be cancelled.
    async fn next(&mut self) -> Result<Message, Failure> {
        let message = self.0.recv().await.unwrap_or(Err(AgentError::NoOutcome));
        match message? {
            Message::Outcome(protocol::Outcome::Failed(failure)) => Err(failure),
            message => Ok(message),
        }
    }
}

/// The task that keeps a folder in step.
struct Work {
    side: Side,
    watch: Watch,
    company: Company,
}

impl Work {
    async fn run(
        mut self,
        ready: oneshot::Sender<()>,
        mut end: oneshot::Receiver<()>,
    ) -> Result<Report, Failure> {
        let mut ready = Some(ready);
        let mut is_ours = false;
        while !is_ours {
            tokio::select! {
                message = self.side.messages.next() => match message? {
                    Message::Event(Event::Folder(FolderEvent::Ready)) => is_ours = true,
                    Message::Event(Event::Folder(FolderEvent::Shared)) => {
                        // The other session brings what this one would, unless
                        // its host was killed.
                        if self.company.has_others()? {
                            let _ = ready.take().map(|it| it.send(()));
                        } else {
                            self.side.say(&Input::Folder(FolderInput::TakeOver)).await?;
                        }
                    }
                    _ => return Err(unexpected()),
                },
                _ = &mut end => return Ok(self.side.report),
            }
        }
        self.settle().await?;
        let _ = ready.take().map(|it| it.send(()));
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
        self.side.say(&Input::StdinClosed).await?;
        Ok(self.side.report)
    }

    /// Until both sides have the same.
    async fn settle(&mut self) -> Result<(), Failure> {
        while self.side.round(&mut self.watch).await? {}
        Ok(())
    }
}
