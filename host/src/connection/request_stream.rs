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

/// The maximum number of queued messages in each direction.
const QUEUE: usize = 64;
/// The interval between updates of live lines.
const TICK: Duration = Duration::from_millis(100);

/// A request in progress; dropping it cancels the request.
pub(crate) struct RequestStream<'a> {
    messages: mpsc::Receiver<Result<Message, AgentError>>,
    sender: RequestSender,
    tasks: [JoinHandle<()>; 2],
    accounts: &'a Accounts,
    /// Prints the progress of the request.
    pub(crate) printer: &'a mut Printer,
}

/// Sends messages of one request. Clones are cheap.
#[derive(Debug, Clone)]
pub(crate) struct RequestSender(mpsc::Sender<Outgoing>);

/// Sends a sequence of messages without other messages between them.
pub(crate) type Upload = Box<
    dyn for<'a> FnOnce(
            &'a mut Sender,
        ) -> Pin<Box<dyn Future<Output = Result<(), AgentError>> + Send + 'a>>
        + Send,
>;

/// An item of the send queue.
enum Outgoing {
    Input(Input),
    Data(Channel, Bytes),
    Upload(Upload),
}

/// A message that the command handles.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// An event that belongs to this kind of request.
    Event(Event),
    /// Bytes of a channel.
    Data(Channel, Bytes),
    /// The reply: the request succeeded.
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

    /// Returns a sender for this request.
    pub(crate) fn sender(&self) -> RequestSender {
        self.sender.clone()
    }

    /// Returns the next message for the command. Prints progress and answers
    /// questions for credentials on the way. Fails if the request fails.
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

    /// Returns the reply of a request, and ignores its other messages.
    pub(crate) async fn reply(&mut self) -> Result<Reply, Failure> {
        loop {
            if let Incoming::Reply(reply) = self.next().await? {
                return Ok(reply);
            }
        }
    }
}

/// A task of a cancelled request may wait for the agent forever.
impl Drop for RequestStream<'_> {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl RequestSender {
    /// Sends a message. A message after the end of the request is lost.
    pub(crate) async fn input(&self, input: Input) {
        let _ = self.0.send(Outgoing::Input(input)).await;
    }

    /// Sends a message if the queue has room for it. Returns false if not.
    pub(crate) fn try_input(&self, input: Input) -> bool {
        self.0.try_send(Outgoing::Input(input)).is_ok()
    }

    /// Sends bytes from a blocking thread. Returns false if the request has
    /// ended.
    pub(crate) fn data_blocking(&self, channel: Channel, bytes: Bytes) -> bool {
        self.0.blocking_send(Outgoing::Data(channel, bytes)).is_ok()
    }

    /// Sends a message from a blocking thread.
    pub(crate) fn input_blocking(&self, input: Input) {
        let _ = self.0.blocking_send(Outgoing::Input(input));
    }

    /// Sends a sequence of messages.
    pub(crate) async fn upload(&self, upload: Upload) {
        let _ = self.0.send(Outgoing::Upload(upload)).await;
    }
}

/// Whether the printer handles the event, the same way in all requests.
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
        // The agent's last message explains why it stopped reading.
        if sent.is_err() {
            return;
        }
    }
}
