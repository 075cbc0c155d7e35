//! Writes lines for people to standard error, with or without live lines.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::live::{Display, Region, TerminalWindow};
use super::shared::Shared;

/// Standard error, with or without live lines.
pub(super) enum Screen {
    /// A terminal with live lines.
    Terminal {
        display: Arc<Mutex<Display>>,
        region: Region,
    },
    /// A file or a pipe.
    Plain(Shared),
}

impl Screen {
    pub(super) fn terminal(writer: Box<dyn Write + Send>, window: Box<dyn TerminalWindow>) -> Self {
        let mut display = Display::new(writer, window);
        let region = display.region();
        Self::Terminal {
            display: Arc::new(Mutex::new(display)),
            region,
        }
    }

    pub(super) fn plain(writer: Box<dyn Write + Send>) -> Self {
        Self::Plain(Shared::new(writer))
    }

    /// Returns the same screen with a region of its own for live lines.
    pub(super) fn background(&self) -> Self {
        match self {
            Self::Plain(writer) => Self::Plain(writer.clone()),
            Self::Terminal { display, .. } => Self::Terminal {
                display: Arc::clone(display),
                region: lock(display).region(),
            },
        }
    }

    /// Runs `write`, which writes to a stream that may be the same terminal.
    pub(super) fn beside(&self, write: impl FnOnce()) {
        match self {
            Self::Plain(_) => write(),
            Self::Terminal { display, .. } => lock(display).beside(write),
        }
    }

    /// Prints lines that stay, and then the live lines.
    pub(super) fn show(&mut self, lines: &[String], live: &[String]) {
        match self {
            Self::Plain(writer) => writer.lines(lines),
            Self::Terminal { display, region } => lock(display).show(*region, lines, live),
        }
    }

    /// Prints one line that stays.
    pub(super) fn print(&mut self, line: &str) {
        match self {
            Self::Plain(writer) => writer.line(line),
            Self::Terminal { display, .. } => lock(display).print(&[line.to_owned()]),
        }
    }

    /// Returns a handle of all live lines of the terminal.
    pub(super) fn live_lines(&self) -> LiveLines {
        LiveLines(match self {
            Self::Plain(_) => None,
            Self::Terminal { display, .. } => Some(Arc::clone(display)),
        })
    }

    /// Returns the maximum width of a live line in columns.
    pub(super) fn columns(&self) -> usize {
        match self {
            Self::Plain(_) => usize::MAX,
            Self::Terminal { display, .. } => lock(display).columns(),
        }
    }

    /// Removes the live lines.
    pub(super) fn clear(&mut self) {
        self.show(&[], &[]);
    }
}

/// A handle of a printer's live lines, to hide them while the user's shell uses
/// the terminal.
#[derive(Default)]
pub(crate) struct LiveLines(Option<Arc<Mutex<Display>>>);

#[cfg_attr(
    windows,
    expect(dead_code, reason = "Windows does not suspend programs")
)]
impl LiveLines {
    /// Hides the live lines.
    pub(crate) fn hide(&self) {
        if let Some(display) = &self.0 {
            lock(display).hide();
        }
    }

    /// Shows the live lines again.
    pub(crate) fn show(&self) {
        if let Some(display) = &self.0 {
            lock(display).unhide();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.clear();
    }
}

fn lock(display: &Mutex<Display>) -> MutexGuard<'_, Display> {
    display.lock().unwrap_or_else(PoisonError::into_inner)
}
