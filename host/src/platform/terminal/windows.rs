//! Reads key events from a Windows console and writes Unicode text to it; or
//! uses plain pipes.

mod key;
mod text;

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use crossterm_winapi::{Console, ConsoleMode, Handle, InputRecord};

use key::{Key, Keys};
use text::Text;

/// `ENABLE_PROCESSED_INPUT`, `ENABLE_LINE_INPUT`, `ENABLE_ECHO_INPUT`.
const COOKED_INPUT: u32 = 0x1 | 0x2 | 0x4;
/// `ENABLE_VIRTUAL_TERMINAL_INPUT`.
const SEQUENCES_IN: u32 = 0x200;
/// `ENABLE_PROCESSED_OUTPUT`, `ENABLE_VIRTUAL_TERMINAL_PROCESSING`.
const SEQUENCES_OUT: u32 = 0x1 | 0x4;

/// Raw mode. Dropping this ends it.
#[derive(Debug)]
pub(crate) struct RawMode {
    _input: Mode,
    _output: Mode,
}

/// The earlier mode of a console. Dropping this restores it.
#[derive(Debug)]
struct Mode {
    console: ConsoleMode,
    before: u32,
}

impl RawMode {
    pub(crate) fn enter() -> io::Result<Self> {
        let input = Mode::of(Handle::current_in_handle()?)?;
        let output = Mode::of(Handle::current_out_handle()?)?;
        let raw = input.before & !COOKED_INPUT;
        // Older consoles do not translate keys to sequences. locald does that
        // then.
        if input.console.set_mode(raw | SEQUENCES_IN).is_err() {
            input.console.set_mode(raw)?;
        }
        let _ = output.console.set_mode(output.before | SEQUENCES_OUT);
        Ok(Self {
            _input: input,
            _output: output,
        })
    }
}

impl Mode {
    fn of(handle: Handle) -> io::Result<Self> {
        let console = ConsoleMode::from(handle);
        let before = console.mode()?;
        Ok(Self { console, before })
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        let _ = self.console.set_mode(self.before);
    }
}

/// Enables colours in the console.
pub(crate) fn prepare() {
    let _ = crossterm::ansi_support::supports_ansi();
}

/// Windows has no background jobs.
pub(crate) const fn is_in_foreground() -> bool {
    true
}

/// Standard input.
#[derive(Debug, Default)]
pub(crate) struct Input {
    keys: Keys,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Waits for input. `buffer` is empty at the end. A console has no end: in
    /// raw mode, Ctrl-Z is an ordinary key.
    pub(crate) fn read(&mut self, buffer: &mut Vec<u8>, most: usize) -> io::Result<()> {
        if io::stdin().is_terminal() {
            return self.read_keys(buffer);
        }
        buffer.resize(most, 0);
        let count = io::stdin().lock().read(buffer)?;
        buffer.truncate(count);
        Ok(())
    }

    fn read_keys(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        let console = Console::from(Handle::current_in_handle()?);
        buffer.clear();
        while buffer.is_empty() {
            let mut records = vec![console.read_single_input_event()?];
            if console.number_of_console_input_events()? > 0 {
                records.extend(console.read_console_input()?);
            }
            for record in records {
                if let InputRecord::KeyEvent(event) = record {
                    self.keys.press(Key::from(&event), buffer);
                }
            }
        }
        Ok(())
    }
}

/// Standard output and standard error.
#[derive(Debug, Default)]
pub(crate) struct Output {
    stdout: Text,
    stderr: Text,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn stdout(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if stdout.is_terminal() {
            stdout.write_all(self.stdout.push(bytes).as_bytes())?;
        } else {
            stdout.write_all(bytes)?;
        }
        stdout.flush()
    }

    pub(crate) fn stderr(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut stderr = io::stderr().lock();
        if stderr.is_terminal() {
            stderr.write_all(self.stderr.push(bytes).as_bytes())
        } else {
            stderr.write_all(bytes)
        }
    }
}
