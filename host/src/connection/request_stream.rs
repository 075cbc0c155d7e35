//! One request, from its first word to its outcome. What is the same in all
//! requests is answered here; what is special to one is handed to its command.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::source::Tree;
use protocol::{Channel, Event, Failure, Input, Outcome, Reply};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::connection::agent::{AgentError, Exchange, Message, Receiver, Sender};
use crate::connection::session::Accounts;
use crate::output::Printer;
use crate::sync::source::Uploader;

/// Messages in flight in each direction.
const QUEUE: usize = 64;
/// How often live lines are drawn while nothing comes.
const TICK: Duration = Duration::from_millis(100);

/// A request in progress; dropping it cancels the request.
pub(crate) struct Conversation<'a> {
    messages: mpsc::Receiver<Result<Message, AgentError>>,
    speaker: Speaker,
    tasks: [JoinHandle<()>; 2],
    accounts: &'a Accounts,
    /// The voice of the command.
    pub(crate) printer: &'a mut Printer,
}

/// Says things to the agent; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Speaker(mpsc::Sender<Said>);

/// What is to be said.
#[derive(Debug)]
enum Said {
    Input(Input),
    Data(Channel, Bytes),
    Listings(Arc<Uploader>),
    Files(Arc<Uploader>, Tree, Vec<u32>),
}

/// What a conversation leaves to its command.
#[derive(Debug)]
pub(crate) enum Heard {
    /// An event of this kind of request.
    Event(Event),
    /// Bytes of a channel.
    Data(Channel, Bytes),
    /// The request is done.
    Reply(Reply),
}

impl<'a> Conversation<'a> {
    pub(crate) fn new(
        exchange: Exchange,
        accounts: &'a Accounts,
        printer: &'a mut Printer,
    ) -> Self {
        let (heard, messages) = mpsc::channel(QUEUE);
        let (say, said) = mpsc::channel(QUEUE);
        let tasks = [
            tokio::spawn(listen(exchange.receiver, heard)),
            tokio::spawn(speak(exchange.sender, said)),
        ];
        Self {
            messages,
            speaker: Speaker(say),
            tasks,
            accounts,
            printer,
        }
    }

    /// Who can say something.
    pub(crate) fn speaker(&self) -> Speaker {
        self.speaker.clone()
    }

    /// The next thing that only the command can deal with. A request that
    /// fails is an error.
    pub(crate) async fn next(&mut self) -> Result<Heard, Failure> {
        loop {
            let message = tokio::select! {
                message = self.messages.recv() => message,
                () = tokio::time::sleep(TICK) => {
                    self.printer.tick();
                    continue;
                }
            };
            let message = message.unwrap_or(Err(AgentError::NoOutcome))?;
            match message {
                Message::Outcome(Outcome::Done(reply)) => return Ok(Heard::Reply(reply)),
                Message::Outcome(Outcome::Failed(failure)) => return Err(failure),
                Message::Data(channel, bytes) => return Ok(Heard::Data(channel, bytes)),
                Message::Event(Event::CredentialWanted { repository }) => {
                    let credential = self.accounts.find(&repository, self.printer).await;
                    let answer = Input::Credential {
                        repository,
                        credential,
                    };
                    self.speaker.input(answer).await;
                }
                Message::Event(event) if is_told(&event) => self.printer.event(&event),
                Message::Event(event) => return Ok(Heard::Event(event)),
            }
        }
    }

    /// The reply of a request that has nothing special to say.
    pub(crate) async fn reply(&mut self) -> Result<Reply, Failure> {
        loop {
            if let Heard::Reply(reply) = self.next().await? {
                return Ok(reply);
            }
        }
    }
}

/// A cancelled request must not wait for a task that waits for the agent.
impl Drop for Conversation<'_> {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Speaker {
    /// Sends a message. One that comes too late is lost, as the request is
    /// over.
    pub(crate) async fn input(&self, input: Input) {
        let _ = self.0.send(Said::Input(input)).await;
    }

    /// Sends a message, unless that would wait for bytes that nobody reads.
    pub(crate) fn try_input(&self, input: Input) -> bool {
        self.0.try_send(Said::Input(input)).is_ok()
    }

    /// Sends bytes from a thread that may wait. False: the request is over.
    pub(crate) fn data_blocking(&self, channel: Channel, bytes: Bytes) -> bool {
        self.0.blocking_send(Said::Data(channel, bytes)).is_ok()
    }

    /// Sends a message from a thread that may wait.
    pub(crate) fn input_blocking(&self, input: Input) {
        let _ = self.0.blocking_send(Said::Input(input));
    }

    /// Sends the listings of all source trees.
    pub(crate) async fn listings(&self, uploader: &Arc<Uploader>) {
        let _ = self.0.send(Said::Listings(Arc::clone(uploader))).await;
    }

    /// Sends the contents of files.
    pub(crate) async fn files(&self, uploader: &Arc<Uploader>, tree: Tree, indices: Vec<u32>) {
        let files = Said::Files(Arc::clone(uploader), tree, indices);
        let _ = self.0.send(files).await;
    }
}

/// Whether an event is the same in all requests, and only to be told.
fn is_told(event: &Event) -> bool {
    matches!(
        event,
        Event::SourceComplete { .. }
            | Event::Pull(_)
            | Event::Push(_)
            | Event::PhaseStarted(_)
            | Event::PhaseEnded { .. }
            | Event::Waiting { .. }
            | Event::Warning { .. }
    )
}

async fn listen(mut receiver: Receiver, heard: mpsc::Sender<Result<Message, AgentError>>) {
    loop {
        let message = receiver.next().await;
        let last = matches!(message, Err(_) | Ok(Message::Outcome(_)));
        if heard.send(message).await.is_err() || last {
            return;
        }
    }
}

async fn speak(mut sender: Sender, mut said: mpsc::Receiver<Said>) {
    while let Some(said) = said.recv().await {
        let spoken = match said {
            Said::Input(input) => sender.input(&input).await,
            Said::Data(channel, bytes) => sender.data(channel, &bytes).await,
            Said::Listings(uploader) => uploader.send_listings(&mut sender).await,
            Said::Files(uploader, tree, indices) => {
                uploader.send_files(&mut sender, tree, &indices).await
            }
        };
        // Why the agent listens no more is what it says last.
        if spoken.is_err() {
            return;
        }
    }
}
