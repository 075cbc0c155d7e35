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

/// So long a process has to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Running,
    Ended(u8),
}

/// What came while a process was stopped.
#[derive(Debug, Default)]
pub(super) struct Stop {
    /// It did not end when it was asked to.
    pub(super) took_too_long: bool,
    /// Who waits for the service to have stopped for good.
    pub(super) waiting: Vec<oneshot::Sender<()>>,
    /// After that it is to start again.
    pub(super) restarts: bool,
    /// It was to be killed: no other order comes after that.
    pub(super) is_final: bool,
}

/// A process; it is killed when this is dropped.
pub(super) struct Process<'a> {
    stream: RequestStream<'a>,
    sender: RequestSender,
    forwards: Forwards,
    is_remote: bool,
    output: ServiceOutput,
}

/// Where its output goes.
pub(super) struct ServiceOutput {
    service: String,
    label: Option<Label>,
    journal: Option<Journal>,
    printer: Printer,
    lines: Lines,
}

impl<'a> Process<'a> {
    /// Asks for it.
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

    /// Waits until it runs. It reads nothing.
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

    /// Passes its output on until it has ended; returns its exit code. May be
    /// cancelled and called again.
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

    /// Asks it to end, waits for that, and kills it when it takes too long or
    /// somebody wants so.
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
                    // It ends already, and may start after that.
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

    /// Passes on what it wrote without an end of line.
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
