//! Reads and writes the bytes of a Unix terminal.

use std::io::{self, Read as _, Write as _};

/// Raw mode. Dropping this ends it.
#[derive(Debug)]
pub(crate) struct RawMode;

impl RawMode {
    pub(crate) fn enter() -> io::Result<Self> {
        crossterm::terminal::enable_raw_mode()?;
        Ok(Self)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

/// Does nothing: Unix terminals support colours.
pub(crate) fn prepare() {}

/// Whether this process is in the foreground of the terminal of standard error.
/// A shell stops background jobs that change the terminal.
pub(crate) fn is_in_foreground() -> bool {
    let group = rustix::termios::tcgetpgrp(io::stderr());
    group.map_or(true, |group| group == rustix::process::getpgrp())
}

/// Standard input.
#[derive(Debug)]
pub(crate) struct Input(io::Stdin);

impl Input {
    pub(crate) fn new() -> Self {
        Self(io::stdin())
    }

    /// Waits for input. `buffer` is empty at the end.
    pub(crate) fn read(&mut self, buffer: &mut Vec<u8>, most: usize) -> io::Result<()> {
        buffer.resize(most, 0);
        let count = self.0.lock().read(buffer)?;
        buffer.truncate(count);
        Ok(())
    }
}

/// Standard output and standard error.
#[derive(Debug)]
pub(crate) struct Output {
    stdout: io::Stdout,
    stderr: io::Stderr,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self {
            stdout: io::stdout(),
            stderr: io::stderr(),
        }
    }

    pub(crate) fn stdout(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = self.stdout.lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }

    pub(crate) fn stderr(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stderr.lock().write_all(bytes)
    }
}
