//! Connects the streams, signals and ports of a program with the host. The
//! program may run in a container or directly on the machine.

use std::io;

use bytes::{Bytes, BytesMut};
use protocol::input::Signal;
use protocol::{Channel, Event, Failure, Input, Reply};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use crate::container::{Container, ContainerInput, ContainerOutput};
use crate::process::ports;
use crate::request::stream::{HostGone, Incoming, Inputs, RequestStream};

/// Bytes of output to forward at a time.
const OUTPUT: usize = 16 * 1024;
/// The most chunks of input that wait for a program that does not read.
const INPUT: usize = 16;

/// A program that can be connected with a host.
pub(crate) trait Program {
    /// Its standard input.
    type Input: AsyncWrite + Unpin + Send;
    /// Its standard output or error.
    type Output: AsyncRead + Unpin + Send;

    /// The standard input; absent after the first call.
    fn stdin(&mut self) -> Option<Self::Input>;
    /// The standard output; absent after the first call.
    fn stdout(&mut self) -> Option<Self::Output>;
    /// The standard error; absent after the first call, and with a terminal.
    fn stderr(&mut self) -> Option<Self::Output>;
    /// The id of a process whose descendants are all processes of the program.
    fn process(&self) -> u32;
    /// Sends a signal. Succeeds if the program has already ended.
    fn signal(&self, signal: Signal) -> io::Result<()>;
    /// Asks the program to end, with the signal that it expects.
    fn stop(&self) -> io::Result<()>;
    /// Sets the size of its terminal in cells, if it has one.
    fn resize(&self, rows: u16, columns: u16) -> io::Result<()>;
    /// Waits for its end, and returns its exit code. The call is
    /// cancellation-safe and can be repeated.
    fn wait(&mut self) -> impl Future<Output = Result<u8, Failure>> + Send;
}

impl Program for Container {
    type Input = ContainerInput;
    type Output = ContainerOutput;

    fn stdin(&mut self) -> Option<ContainerInput> {
        self.stdin()
    }

    fn stdout(&mut self) -> Option<ContainerOutput> {
        self.stdout()
    }

    fn stderr(&mut self) -> Option<ContainerOutput> {
        self.stderr()
    }

    fn process(&self) -> u32 {
        self.runner()
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        self.signal(signal)
    }

    fn stop(&self) -> io::Result<()> {
        self.stop()
    }

    fn resize(&self, rows: u16, columns: u16) -> io::Result<()> {
        self.resize(rows, columns)
    }

    async fn wait(&mut self) -> Result<u8, Failure> {
        Ok(self.wait().await?.0)
    }
}

/// Connects a running program with the host until it ends: output, input,
/// signals, sizes of the terminal, and the ports that it listens on.
///
/// Replies with the exit code, or 128 + signal. Dropping the future drops the
/// program, which ends it.
pub(crate) async fn attach(
    mut program: impl Program,
    stream: &RequestStream,
    mut inputs: Inputs,
) -> Result<Reply, Failure> {
    let (stdout, stderr) = (program.stdout(), program.stderr());
    let output = async {
        tokio::join!(
            pass_on(stdout, Channel::Stdout, stream),
            pass_on(stderr, Channel::Stderr, stream),
        )
    };
    tokio::pin!(output);
    let (sender, chunks) = mpsc::channel(INPUT);
    let feeding = feed(program.stdin(), chunks);
    tokio::pin!(feeding);
    let mut stdin = Some(sender);
    stream.event(Event::Started).await?;
    let watching = ports::watch(program.process(), stream);
    tokio::pin!(watching);
    let mut watched = false;
    let (mut fed, mut passed, mut code) = (false, false, None);
    let mut waiting = None;
    while code.is_none() || !passed {
        tokio::select! {
            ended = program.wait(), if code.is_none() => code = Some(ended?),
            (out, err) = &mut output, if !passed => {
                out.and(err)?;
                passed = true;
            }
            () = &mut feeding, if !fed => fed = true,
            // While the program does not read, no further input is received
            // from the host.
            incoming = inputs.recv(), if waiting.is_none() => {
                let incoming = incoming.ok_or(HostGone)?;
                watched |= matches!(incoming, Incoming::Input(Input::WatchPorts));
                waiting = handle(incoming, &program, &mut stdin);
            }
            () = offer(stdin.as_ref(), &mut waiting), if waiting.is_some() => {}
            gone = &mut watching, if watched => gone?,
        }
    }
    Ok(Reply::Exited {
        code: code.unwrap_or_default(),
    })
}

/// Passes a chunk to the program when there is room. Discards it if the program
/// has closed its input.
async fn offer(stdin: Option<&mpsc::Sender<Bytes>>, waiting: &mut Option<Bytes>) {
    if let Some(sender) = stdin
        && let Ok(permit) = sender.reserve().await
        && let Some(chunk) = waiting.take()
    {
        permit.send(chunk);
    }
    *waiting = None;
}

/// Handles a message of the host. Returns the input for the program, if there
/// is any.
fn handle(
    incoming: Incoming,
    program: &impl Program,
    stdin: &mut Option<mpsc::Sender<Bytes>>,
) -> Option<Bytes> {
    let result = match incoming {
        Incoming::Data(Channel::Stdin, bytes) => return Some(bytes),
        Incoming::Input(Input::StdinClosed) => {
            *stdin = None;
            Ok(())
        }
        Incoming::Input(Input::Resize { rows, columns }) => program.resize(rows, columns),
        Incoming::Input(Input::Signal(signal)) => program.signal(signal),
        Incoming::Input(Input::Stop) => program.stop(),
        Incoming::Input(_) | Incoming::Data(..) => Ok(()),
    };
    if let Err(error) = result {
        tracing::debug!(%error, "the program cannot be reached");
    }
    None
}

/// Writes chunks to a program until the channel closes, then closes its input.
async fn feed(stdin: Option<impl AsyncWrite + Unpin>, mut chunks: mpsc::Receiver<Bytes>) {
    let Some(mut stdin) = stdin else {
        return;
    };
    while let Some(chunk) = chunks.recv().await {
        if stdin.write_all(&chunk).await.is_err() {
            return;
        }
    }
    let _ = stdin.shutdown().await;
}

/// Forwards a program's output to the host.
pub(crate) async fn pass_on(
    output: Option<impl AsyncRead + Unpin>,
    channel: Channel,
    stream: &RequestStream,
) -> Result<(), HostGone> {
    let Some(mut output) = output else {
        return Ok(());
    };
    let mut buffer = BytesMut::with_capacity(OUTPUT);
    loop {
        buffer.reserve(OUTPUT);
        match output.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(_) => stream.data(channel, buffer.split().freeze()).await?,
        }
    }
}
