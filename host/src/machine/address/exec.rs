//! Reaches an agent that is a child process, over its standard streams.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::machine::spawn;

/// Standard output and input of a child as one stream. Dropping the stream
/// kills the child.
pub(in crate::machine) struct ChildStream {
    _child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// Values to drop when the stream is dropped.
    locks: Vec<Box<dyn Send>>,
}

/// Starts the program. The user sees its standard error.
pub(super) fn connect(words: &[String]) -> io::Result<ChildStream> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments);
    // locald handles Ctrl-C. The agent ends when its input ends.
    spawn::in_own_group(&mut command);
    ChildStream::start(command)
}

impl ChildStream {
    /// Starts a program, and makes a stream of its standard input and output.
    pub(in crate::machine) fn start(mut command: Command) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("the child has no pipes");
        Ok(Self {
            stdin: child.stdin.take().ok_or_else(missing)?,
            stdout: child.stdout.take().ok_or_else(missing)?,
            _child: child,
            locks: Vec::new(),
        })
    }

    /// Holds a lock until the stream is dropped.
    pub(in crate::machine) fn keeping(mut self, lock: impl Send + 'static) -> Self {
        self.locks.push(Box::new(lock));
        self
    }
}

impl AsyncRead for ChildStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(context, buffer)
    }
}

impl AsyncWrite for ChildStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stdin).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(context)
    }
}
