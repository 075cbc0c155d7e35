//! Reads the size of the terminal on standard error.

use std::io::{self, IsTerminal as _};

use super::live::TerminalWindow;
use crate::platform::terminal;

/// The assumed columns and rows of a terminal that does not report its size,
/// such as a serial line.
const USUAL: (usize, usize) = (80, 24);

/// The terminal of standard error.
pub(super) struct StandardError {
    has_stdout: bool,
}

impl StandardError {
    pub(super) fn new() -> Self {
        let has_stdout = io::stdout().is_terminal();
        Self { has_stdout }
    }
}

impl TerminalWindow for StandardError {
    fn size(&self) -> Option<(usize, usize)> {
        if !terminal::is_in_foreground() {
            return None;
        }
        let size = terminal_size::terminal_size_of(io::stderr());
        let size = size.map(|(columns, rows)| (columns.0.into(), rows.0.into()));
        Some(
            size.filter(|(columns, rows)| columns * rows > 0)
                .unwrap_or(USUAL),
        )
    }

    fn has_stdout(&self) -> bool {
        self.has_stdout
    }
}
