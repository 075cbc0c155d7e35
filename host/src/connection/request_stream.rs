//! One request in progress. It reports progress and sends credentials itself,
//! and returns all other messages to the command.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use protocol::{Channel, Event, Failure, Input, Outcome, Reply};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::connection::accounts::Accounts;
use crate::connection::agent::{AgentError, Exchange, Message, Receiver, Sender};
use crate::output::Printer;

/// Messages in flight in each direction.
const QUEUE: usize = 64;
/// How often live lines are drawn while nothing comes.
const TICK: Duration = Duration::from_millis(100);

/// A request in progress; dropping it cancels the request.
pub(crate) struct RequestStream<'a> {
    messages: mpsc::Receiver<Result<Message, AgentError>>,
    sender: RequestSender,
    tasks: [JoinHandle<()>; 2],
    accounts: &'a Accounts,
    /// Where the command reports.
    pub(crate) printer: &'a mut Printer,
}

/// Sends messages to the agent; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct RequestSender(mpsc::Sender<Outgoing>);

/// Writes a part of a request that consists of many messages.
pub(crate) type Upload = Box<
    dyn for<'a> FnOnce(
            &'a mut Sender,
        ) -> Pin<Box<dyn Future<Output = Result<(), AgentError>> + Send + 'a>>
        + Send,
>;

/// What a task writes to the stream.
enum Outgoing {
    Input(Input),
    Data(Channel, Bytes),
    Upload(Upload),
}

/// What the command of a request handles itself.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// An event of this kind of request.
    Event(Event),
    /// Bytes of a channel.
    Data(Channel, Bytes),
    /// The request is done.
    Reply(Reply),
}

impl<'a> RequestStream<'a> {
    pub(crate) fn new(
        exchange: Exchange,
        accounts: &'a Accounts,
        printer: &'a mut Printer,
    ) -> Self {
        let (queue_in, messages) = mpsc::channel(QUEUE);
        let (outgoing, queue) = mpsc::channel(QUEUE);
        let tasks = [
            tokio::spawn(receive(exchange.receiver, queue_in)),
            tokio::spawn(send(exchange.sender, queue)),
        ];
        Self {
            messages,
            sender: RequestSender(outgoing),
            tasks,
            accounts,
            printer,
        }
    }

    /// A sender of this request.
    pub(crate) fn sender(&self) -> RequestSender {
        self.sender.clone()
    }

    /// The next thing that only the command can deal with. A request that
    /// fails is an error.
    pub(crate) async fn next(&mut self) -> Result<Incoming, Failure> {
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
                Message::Outcome(Outcome::Done(reply)) => return Ok(Incoming::Reply(reply)),
                Message::Outcome(Outcome::Failed(failure)) => return Err(failure),
                Message::Data(channel, bytes) => return Ok(Incoming::Data(channel, bytes)),
                Message::Event(Event::CredentialWanted { repository }) => {
                    let credential = self.accounts.find(&repository, self.printer).await;
                    let answer = Input::Credential {
                        repository,
                        credential,
                    };
                    self.sender.input(answer).await;
                }
                Message::Event(event) if is_reported(&event) => self.printer.event(&event),
                Message::Event(event) => return Ok(Incoming::Event(event)),
            }
        }
    }

    /// The reply of a request that has nothing special to say.
    pub(crate) async fn reply(&mut self) -> Result<Reply, Failure> {
        loop {
            if let Incoming::Reply(reply) = self.next().await? {
                return Ok(reply);
            }
        }
    }
}

/// A cancelled request must not wait for a task that waits for the agent.
impl Drop for RequestStream<'_> {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl RequestSender {
    /// Sends a message. One that comes too late is lost, as the request is
    /// over.
    pub(crate) async fn input(&self, input: Input) {
        let _ = self.0.send(Outgoing::Input(input)).await;
    }

    /// Sends a message, unless that would wait for bytes that nobody reads.
    pub(crate) fn try_input(&self, input: Input) -> bool {
        self.0.try_send(Outgoing::Input(input)).is_ok()
    }

    /// Sends bytes from a thread that may wait. False: the request is over.
    pub(crate) fn data_blocking(&self, channel: Channel, bytes: Bytes) -> bool {
        self.0.blocking_send(Outgoing::Data(channel, bytes)).is_ok()
    }

    /// Sends a message from a thread that may wait.
    pub(crate) fn input_blocking(&self, input: Input) {
        let _ = self.0.blocking_send(Outgoing::Input(input));
    }

    /// Sends a part of many messages.
    pub(crate) async fn upload(&self, upload: Upload) {
        let _ = self.0.send(Outgoing::Upload(upload)).await;
    }
}

/// Whether an event is the same in all requests, and only to be told.
fn is_reported(event: &Event) -> bool {
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

async fn receive(mut receiver: Receiver, messages: mpsc::Sender<Result<Message, AgentError>>) {
    loop {
        let message = receiver.next().await;
        let last = matches!(message, Err(_) | Ok(Message::Outcome(_)));
        if messages.send(message).await.is_err() || last {
            return;
        }
    }
}

async fn send(mut sender: Sender, mut queue: mpsc::Receiver<Outgoing>) {
    while let Some(outgoing) = queue.recv().await {
        let sent = match outgoing {
            Outgoing::Input(input) => sender.input(&input).await,
            Outgoing::Data(channel, bytes) => sender.data(channel, &bytes).await,
            Outgoing::Upload(upload) => upload(&mut sender).await,
        };
        // The agent's last message explains why it reads no more.
        if sent.is_err() {
            return;
        }
    }
}
