//! Writes lines for people to standard error, with or without live lines.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::live::{Display, Region, TerminalWindow};
use super::shared::Shared;

/// Standard error, with or without live lines.
pub(super) enum Screen {
    /// Lines that stay, and live lines below them.
    Terminal {
        display: Arc<Mutex<Display>>,
        region: Region,
    },
    /// Lines that stay.
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

    /// The same screen, with live lines of its own.
    pub(super) fn background(&self) -> Self {
        match self {
            Self::Plain(writer) => Self::Plain(writer.clone()),
            Self::Terminal { display, .. } => Self::Terminal {
                display: Arc::clone(display),
                region: lock(display).region(),
            },
        }
    }

    /// Writes elsewhere, where that may be the same terminal.
    pub(super) fn beside(&self, write: impl FnOnce()) {
        match self {
            Self::Plain(_) => write(),
            Self::Terminal { display, .. } => lock(display).beside(write),
        }
    }

    /// Adds lines that stay, then shows the live ones.
    pub(super) fn show(&mut self, lines: &[String], live: &[String]) {
        match self {
            Self::Plain(writer) => writer.lines(lines),
            Self::Terminal { display, region } => lock(display).show(*region, lines, live),
        }
    }

    /// Adds one line that stays.
    pub(super) fn print(&mut self, line: &str) {
        match self {
            Self::Plain(writer) => writer.line(line),
            Self::Terminal { display, .. } => lock(display).print(&[line.to_owned()]),
        }
    }

    /// What hides the live lines of this screen and those aside.
    pub(super) fn live_lines(&self) -> LiveLines {
        LiveLines(match self {
            Self::Plain(_) => None,
            Self::Terminal { display, .. } => Some(Arc::clone(display)),
        })
    }

    /// How wide a live line may be.
    pub(super) fn columns(&self) -> usize {
        match self {
            Self::Plain(_) => usize::MAX,
            Self::Terminal { display, .. } => lock(display).columns(),
        }
    }

    /// Takes the live lines away.
    pub(super) fn clear(&mut self) {
        self.show(&[], &[]);
    }
}

/// The live lines of a printer, to hide them while the user's shell has the
/// terminal.
#[derive(Default)]
pub(crate) struct LiveLines(Option<Arc<Mutex<Display>>>);

#[cfg_attr(
    windows,
    expect(dead_code, reason = "Windows does not suspend programs")
)]
impl LiveLines {
    /// Takes the live lines away.
    pub(crate) fn hide(&self) {
        if let Some(display) = &self.0 {
            lock(display).hide();
        }
    }

    /// Brings them back.
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
