//! Holds the agent's ends of a container's standard streams: three pipes, or
//! the master of a pseudo terminal.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::unix::pipe;

use super::message::TerminalSize;
use crate::kernel::syscall;

/// The standard input of a container. Dropping it closes a pipe, and has no
/// effect on a terminal.
#[derive(Debug)]
pub struct ContainerInput(Input);

/// The standard output or error of a container.
#[derive(Debug)]
pub struct ContainerOutput(Output);

#[derive(Debug)]
enum Input {
    Pipe(pipe::Sender),
    Terminal(Terminal),
}

#[derive(Debug)]
enum Output {
    Pipe(pipe::Receiver),
    Terminal(Terminal),
}

/// The master of a container's pseudo terminal.
#[derive(Debug, Clone)]
pub(crate) struct Terminal(Arc<AsyncFd<OwnedFd>>);

/// The agent's and the container's ends of three pipes.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) stdin: ContainerInput,
    pub(crate) stdout: ContainerOutput,
    pub(crate) stderr: ContainerOutput,
    /// The container's ends, in the order of the standard streams.
    pub(crate) theirs: [OwnedFd; 3],
}

impl Pipes {
    pub(crate) fn new() -> io::Result<Self> {
        let (stdin_reader, stdin) = io::pipe()?;
        let (stdout, stdout_writer) = io::pipe()?;
        let (stderr, stderr_writer) = io::pipe()?;
        Ok(Self {
            stdin: ContainerInput(Input::Pipe(pipe::Sender::from_owned_fd(stdin.into())?)),
            stdout: ContainerOutput::from_pipe(stdout.into())?,
            stderr: ContainerOutput::from_pipe(stderr.into())?,
            theirs: [
                stdin_reader.into(),
                stdout_writer.into(),
                stderr_writer.into(),
            ],
        })
    }
}

impl ContainerOutput {
    fn from_pipe(reader: OwnedFd) -> io::Result<Self> {
        Ok(Self(Output::Pipe(pipe::Receiver::from_owned_fd(reader)?)))
    }
}

impl Terminal {
    pub(crate) fn new(master: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&master, true)?;
        Ok(Self(Arc::new(syscall::watch(
            master,
            Interest::READABLE | Interest::WRITABLE,
        )?)))
    }

    pub(crate) fn resize(&self, size: TerminalSize) -> io::Result<()> {
        Ok(tcsetwinsize(self.0.get_ref(), size.into())?)
    }

    pub(crate) fn input(&self) -> ContainerInput {
        ContainerInput(Input::Terminal(self.clone()))
    }

    pub(crate) fn output(&self) -> ContainerOutput {
        ContainerOutput(Output::Terminal(self.clone()))
    }

    fn poll_read(&self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(context))?;
            let result = guard.try_io(|master| {
                let read = rustix::io::read(master.get_ref(), into.initialize_unfilled())?;
                Ok(read)
            });
            match result {
                Ok(Ok(read)) => {
                    into.advance(read);
                    return Poll::Ready(Ok(()));
                }
                // The last process that had the terminal open has ended.
                Ok(Err(error)) if Errno::from_io_error(&error) == Some(Errno::IO) => {
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(context))?;
            let result = guard.try_io(|master| Ok(rustix::io::write(master.get_ref(), bytes)?));
            match result {
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(result) => return Poll::Ready(result),
                Err(_would_block) => {}
            }
        }
    }
}

impl From<TerminalSize> for Winsize {
    fn from(size: TerminalSize) -> Self {
        Self {
            ws_row: size.rows,
            ws_col: size.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        }
    }
}

impl AsyncWrite for ContainerInput {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Input::Pipe(sender) => Pin::new(sender).poll_write(context, bytes),
            Input::Terminal(terminal) => terminal.poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for ContainerOutput {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Output::Pipe(receiver) => Pin::new(receiver).poll_read(context, into),
            Output::Terminal(terminal) => terminal.poll_read(context, into),
        }
    }
}
