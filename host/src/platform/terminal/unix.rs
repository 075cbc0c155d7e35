//! Reads and writes the bytes of a Unix terminal.

use std::io::{self, Read as _, Write as _};

/// Raw mode until it is dropped.
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

/// Terminals understand colours without being asked to.
pub(crate) fn prepare() {}

/// Whether this process may use the terminal of standard error, which a shell
/// takes away from a job in the background.
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

    /// Waits for the next bytes; none at the end.
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
