//! Connects a container's process with the standard streams and signals of this
//! process, and with its forwarded ports.

use std::io;

use bytes::Bytes;
use protocol::input::Signal;
use protocol::request::Stdio;
use protocol::{Channel, Event, Failure, FailureKind, Input, Reply};

use crate::connection::forward::{self, Forwards};
use crate::connection::request_stream::{Incoming, RequestSender, RequestStream};
use crate::connection::session::Session;
use crate::exit_code;
use crate::platform::signals::{SignalEvent, Signals};
use crate::platform::terminal;

/// Bytes of input per message.
const BUFFER: usize = 32 * 1024;
/// locald ends without waiting for the process at this number of Ctrl-C.
const PATIENCE: usize = 3;
/// 128 + SIGPIPE: the reader of the output has closed it.
const NO_READER: u8 = 141;

/// Connects a process with the standard streams and signals until it ends;
/// returns its exit code.
pub(crate) async fn attach(
    mut stream: RequestStream<'_>,
    stdio: Stdio,
    session: &Session,
) -> Result<u8, Failure> {
    let failed = |error: io::Error| Failure::from_error(FailureKind::Machine, &error);
    let mut signals = Signals::listen().map_err(failed)?;
    let sender = stream.sender();
    let (mut raw, mut interrupts) = (None, 0);
    let mut output = terminal::Output::new();
    let mut forwards = Forwards::new(&session.agent);
    loop {
        let incoming = tokio::select! {
            incoming = stream.next() => incoming,
            event = signals.next() => {
                interrupts += usize::from(event == SignalEvent::Signal(Signal::Interrupt));
                let delivered = pass_on(event, stdio, &sender);
                if !delivered || interrupts >= PATIENCE {
                    return Ok(exit_code::INTERRUPTED);
                }
                continue;
            }
        };
        match incoming? {
            Incoming::Event(Event::Started) => {
                stream.printer.clear();
                if matches!(stdio, Stdio::Terminal { .. }) {
                    raw = Some(terminal::RawMode::enter().map_err(failed)?);
                }
                if session.is_remote {
                    sender.input(Input::WatchPorts).await;
                }
                let sender = sender.clone();
                std::thread::spawn(move || feed(&sender));
            }
            Incoming::Event(Event::PortOpened { port }) => {
                let text = forward::opened(port, forwards.open(port).await);
                // In raw mode, a line feed does not return to the first column.
                let was_raw = raw.take().is_some();
                stream.printer.note(&text);
                if was_raw {
                    raw = Some(terminal::RawMode::enter().map_err(failed)?);
                }
            }
            Incoming::Event(Event::PortClosed { port }) => forwards.close(port),
            Incoming::Data(channel, bytes) => {
                if tokio::task::block_in_place(|| write(&mut output, channel, &bytes)).is_err() {
                    return Ok(NO_READER);
                }
            }
            Incoming::Reply(Reply::Exited { code }) => {
                drop(raw);
                return Ok(code);
            }
            Incoming::Event(_) | Incoming::Reply(_) => {}
        }
    }
}

/// Sends the event to the process. Returns false if the request does not take a
/// signal.
fn pass_on(event: SignalEvent, stdio: Stdio, sender: &RequestSender) -> bool {
    match (event, stdio) {
        (SignalEvent::Signal(signal), _) => sender.try_input(Input::Signal(signal)),
        (SignalEvent::Resized, Stdio::Terminal { .. }) => {
            if let Ok((columns, rows)) = crossterm::terminal::size() {
                sender.try_input(Input::Resize { rows, columns });
            }
            true
        }
        (SignalEvent::Resized, Stdio::Pipes) => true,
    }
}

/// Sends standard input until it ends. The thread may still wait for input
/// after the process has ended; it ends with locald.
fn feed(sender: &RequestSender) {
    let mut input = terminal::Input::new();
    let mut buffer = Vec::new();
    loop {
        match input.read(&mut buffer, BUFFER) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(()) if !buffer.is_empty() => {
                let bytes = Bytes::copy_from_slice(&buffer);
                if !sender.data_blocking(Channel::Stdin, bytes) {
                    return;
                }
            }
            Ok(()) | Err(_) => return sender.input_blocking(Input::StdinClosed),
        }
    }
}

fn write(output: &mut terminal::Output, channel: Channel, bytes: &[u8]) -> io::Result<()> {
    match channel {
        Channel::Stdout => output.stdout(bytes),
        Channel::Stderr => output.stderr(bytes),
        Channel::Stdin | Channel::Bulk => Ok(()),
    }
}
