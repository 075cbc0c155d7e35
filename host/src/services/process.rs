//! Runs a service's process in its container.

use std::time::Duration;

use protocol::input::Signal;
use protocol::{Channel, Event, Failure, Input, Reply, Request};
use tokio::sync::{mpsc, oneshot};

use super::journal::{Journal, LogEntry};
use super::order::Order;
use crate::connection::forward::{self, Forwards};
use crate::connection::request_stream::{Incoming, RequestSender, RequestStream};
use crate::connection::session::Session;
use crate::output::{Label, Lines, Printer, clean};

/// How long a process may take to end after the stop signal.
const PATIENCE: Duration = Duration::from_secs(10);

/// The state of a started process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Running,
    Ended(u8),
}

/// What happened while a process stopped.
#[derive(Debug, Default)]
pub(super) struct Stop {
    /// The process did not end in time.
    pub(super) took_too_long: bool,
    /// Senders to notify when the service has stopped.
    pub(super) waiting: Vec<oneshot::Sender<()>>,
    /// An order to start it again has arrived.
    pub(super) restarts: bool,
    /// An order to kill it has arrived. No order after that counts.
    pub(super) is_final: bool,
}

/// A process. Dropping this kills it.
pub(super) struct Process<'a> {
    stream: RequestStream<'a>,
    sender: RequestSender,
    forwards: Forwards,
    is_remote: bool,
    output: ServiceOutput,
}

/// The destinations of a process's output.
pub(super) struct ServiceOutput {
    service: String,
    label: Option<Label>,
    journal: Option<Journal>,
    printer: Printer,
    lines: Lines,
}

impl<'a> Process<'a> {
    /// Requests the process.
    pub(super) async fn start(
        request: &Request,
        session: &'a Session,
        printer: &'a mut Printer,
        output: ServiceOutput,
    ) -> Result<Self, Failure> {
        let stream = session.request(request, printer).await?;
        Ok(Self {
            sender: stream.sender(),
            stream,
            forwards: Forwards::new(&session.agent),
            is_remote: session.is_remote,
            output,
        })
    }

    /// Waits until the process runs, and closes its standard input.
    pub(super) async fn started(&mut self) -> Result<Exit, Failure> {
        loop {
            match self.stream.next().await? {
                Incoming::Event(Event::Started) => {
                    self.stream.printer.clear();
                    self.sender.input(Input::StdinClosed).await;
                    if self.is_remote {
                        self.sender.input(Input::WatchPorts).await;
                    }
                    return Ok(Exit::Running);
                }
                Incoming::Reply(Reply::Exited { code }) => return Ok(Exit::Ended(code)),
                _ => {}
            }
        }
    }

    /// Forwards the output until the process ends. Returns its exit code.
    /// Cancel safe.
    pub(super) async fn ended(&mut self) -> Result<u8, Failure> {
        loop {
            match self.stream.next().await? {
                Incoming::Data(channel, bytes) => self.output.bytes(channel, &bytes),
                Incoming::Event(Event::PortOpened { port }) => {
                    let here = self.forwards.open(port).await;
                    let text = forward::opened(port, here);
                    self.output.printer.note(&text);
                }
                Incoming::Event(Event::PortClosed { port }) => self.forwards.close(port),
                Incoming::Reply(Reply::Exited { code }) => return Ok(code),
                Incoming::Event(_) | Incoming::Reply(_) => {}
            }
        }
    }

    /// Stops the process. Kills it after [`PATIENCE`], or when an order says
    /// so.
    pub(super) async fn stop(
        &mut self,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        signal: Option<Signal>,
    ) -> Result<Stop, Failure> {
        let ask = signal.map_or(Input::Stop, Input::Signal);
        self.sender.input(ask).await;
        let end = tokio::time::sleep(PATIENCE);
        tokio::pin!(end);
        let mut stop = Stop::default();
        let mut kills = signal == Some(Signal::Kill);
        loop {
            tokio::select! {
                ended = self.ended() => return ended.map(|_| stop),
                () = &mut end, if !kills => stop.took_too_long = true,
                order = orders.recv(), if !stop.is_final => match order {
                    // The process is stopping already, and the service may
                    // start again after that.
                    Some(Order::Start) => continue,
                    Some(Order::Restart) => {
                        stop.restarts = true;
                        continue;
                    }
                    Some(Order::Stop(done)) => {
                        stop.restarts = false;
                        stop.waiting.push(done);
                        continue;
                    }
                    Some(Order::Kill) | None => stop.is_final = true,
                },
            }
            kills = true;
            self.sender.input(Input::Signal(Signal::Kill)).await;
        }
    }

    /// Prints the last output that has no line feed.
    pub(super) fn finish(mut self) {
        self.output.flush();
    }
}

impl ServiceOutput {
    pub(super) fn new(
        service: &str,
        label: Option<Label>,
        journal: Option<Journal>,
        printer: Printer,
    ) -> Self {
        Self {
            service: service.to_owned(),
            label,
            journal,
            printer,
            lines: Lines::default(),
        }
    }

    fn bytes(&mut self, channel: Channel, bytes: &[u8]) {
        for line in self.lines.push(channel, bytes) {
            self.line(channel, &line);
        }
    }

    fn flush(&mut self) {
        for (channel, line) in self.lines.flush() {
            self.line(channel, &line);
        }
    }

    fn line(&mut self, channel: Channel, line: &str) {
        let (label, printer) = (self.label.as_ref(), &mut self.printer);
        tokio::task::block_in_place(|| printer.service_line(label, channel, line));
        if let Some(journal) = &self.journal {
            let stream = match channel {
                Channel::Stderr => "stderr",
                Channel::Stdin | Channel::Stdout | Channel::Bulk => "stdout",
            };
            journal.add(&LogEntry {
                service: self.service.clone(),
                stream: stream.to_owned(),
                line: clean(line),
            });
        }
    }
}
