//! A container's process at this process's standard streams.

use std::io::{self, IsTerminal as _};

use bytes::Bytes;
use protocol::input::Signal;
use protocol::request::{EnvVar, Stdio};
use protocol::{Channel, Event, Failure, FailureKind, Input, Reply};

use crate::connection::forward::{self, Forwards};
use crate::connection::request_stream::{Conversation, Heard, Speaker};
use crate::connection::session::Client;
use crate::platform::signals::{Signals, Told};

mod description;

#[cfg(unix)]
#[path = "terminal/unix.rs"]
mod imp;
#[cfg(not(unix))]
#[path = "terminal/windows.rs"]
mod imp;

/// Bytes of input sent at a time.
const BUFFER: usize = 32 * 1024;
/// Of Ctrl-C: then the process is not asked any more.
const PATIENCE: usize = 3;
/// 128 + SIGPIPE: nobody reads the output.
const NO_READER: u8 = 141;

pub(crate) use imp::{is_in_foreground, prepare};

/// How a process is to be attached here: a terminal, when both ends are one.
pub(crate) fn stdio() -> Stdio {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
        return Stdio::Terminal { rows, columns };
    }
    Stdio::Pipes
}

/// How a process is to be attached that nobody types for: a terminal where
/// colours are shown, so that it writes lines as they come, and in colour.
/// `margin` is what stands before each line.
pub(crate) fn output_only(shows_colours: bool, margin: usize) -> Stdio {
    if shows_colours && io::stdout().is_terminal() {
        let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
        let margin = u16::try_from(margin).unwrap_or(u16::MAX);
        let columns = columns.saturating_sub(margin).max(20);
        return Stdio::Terminal { rows, columns };
    }
    Stdio::Pipes
}

/// What a process at a terminal is told of it, and nothing without one.
pub(crate) fn description(stdio: Stdio) -> Vec<EnvVar> {
    match stdio {
        Stdio::Pipes => Vec::new(),
        Stdio::Terminal { .. } => {
            description::of(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        }
    }
}

/// Connects a process with the standard streams and signals until it ends;
/// returns its exit code.
pub(crate) async fn attach(
    mut conversation: Conversation<'_>,
    stdio: Stdio,
    client: &Client,
) -> Result<u8, Failure> {
    let failed = |error: io::Error| Failure::from_error(FailureKind::Machine, &error);
    let mut signals = Signals::listen().map_err(failed)?;
    let speaker = conversation.speaker();
    let (mut raw, mut interrupts) = (None, 0);
    let mut output = imp::Output::new();
    let mut forwards = Forwards::new(&client.agent);
    loop {
        let heard = tokio::select! {
            heard = conversation.next() => heard,
            told = signals.next() => {
                interrupts += usize::from(told == Told::Signal(Signal::Interrupt));
                let told = pass_on(told, stdio, &speaker);
                if !told || interrupts >= PATIENCE {
                    return Ok(crate::exit_code::INTERRUPTED);
                }
                continue;
            }
        };
        match heard? {
            Heard::Event(Event::Started) => {
                conversation.printer.clear();
                if matches!(stdio, Stdio::Terminal { .. }) {
                    raw = Some(imp::RawMode::enter().map_err(failed)?);
                }
                if client.is_elsewhere {
                    speaker.input(Input::WatchPorts).await;
                }
                let speaker = speaker.clone();
                std::thread::spawn(move || feed(&speaker));
            }
            Heard::Event(Event::PortOpened { port }) => {
                let text = forward::opened(port, forwards.open(port).await);
                // A raw terminal does not know where a line begins.
                let was_raw = raw.take().is_some();
                conversation.printer.note(&text);
                if was_raw {
                    raw = Some(imp::RawMode::enter().map_err(failed)?);
                }
            }
            Heard::Event(Event::PortClosed { port }) => forwards.close(port),
            Heard::Data(channel, bytes) => {
                if tokio::task::block_in_place(|| write(&mut output, channel, &bytes)).is_err() {
                    return Ok(NO_READER);
                }
            }
            Heard::Reply(Reply::Exited { code }) => {
                drop(raw);
                return Ok(code);
            }
            Heard::Event(_) | Heard::Reply(_) => {}
        }
    }
}

/// Tells the process; false when a signal could not be told.
fn pass_on(told: Told, stdio: Stdio, speaker: &Speaker) -> bool {
    match (told, stdio) {
        (Told::Signal(signal), _) => speaker.try_input(Input::Signal(signal)),
        (Told::Resized, Stdio::Terminal { .. }) => {
            if let Ok((columns, rows)) = crossterm::terminal::size() {
                speaker.try_input(Input::Resize { rows, columns });
            }
            true
        }
        (Told::Resized, Stdio::Pipes) => true,
    }
}

/// Sends standard input until it ends. The thread may wait for a key when the
/// process is long gone: it ends with this process.
fn feed(speaker: &Speaker) {
    let mut input = imp::Input::new();
    let mut buffer = Vec::new();
    loop {
        match input.read(&mut buffer, BUFFER) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(()) if !buffer.is_empty() => {
                let bytes = Bytes::copy_from_slice(&buffer);
                if !speaker.data_blocking(Channel::Stdin, bytes) {
                    return;
                }
            }
            Ok(()) | Err(_) => return speaker.input_blocking(Input::StdinClosed),
        }
    }
}

fn write(output: &mut imp::Output, channel: Channel, bytes: &[u8]) -> io::Result<()> {
    match channel {
        Channel::Stdout => output.stdout(bytes),
        Channel::Stderr => output.stderr(bytes),
        Channel::Stdin | Channel::Bulk => Ok(()),
    }
}
