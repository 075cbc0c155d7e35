//! Where lines for people appear.

use std::io::Write;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::shared::Shared;

/// Standard error, with or without live lines.
pub(super) enum Screen {
    /// Lines that stay, and live lines below them.
    Terminal {
        multi: MultiProgress,
        bars: Vec<ProgressBar>,
    },
    /// Lines that stay.
    Plain(Shared),
}

impl Screen {
    pub(super) fn terminal() -> Self {
        Self::Terminal {
            multi: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            bars: Vec::new(),
        }
    }

    pub(super) fn plain(writer: Box<dyn Write + Send>) -> Self {
        Self::Plain(Shared::new(writer))
    }

    /// The same screen, with live lines of its own.
    pub(super) fn aside(&self) -> Self {
        match self {
            Self::Plain(writer) => Self::Plain(writer.clone()),
            Self::Terminal { multi, .. } => Self::Terminal {
                multi: multi.clone(),
                bars: Vec::new(),
            },
        }
    }

    /// Writes elsewhere, where that may be the same terminal.
    pub(super) fn beside(&self, write: impl FnOnce()) {
        match self {
            Self::Plain(_) => write(),
            Self::Terminal { multi, .. } => multi.suspend(write),
        }
    }

    /// Adds lines that stay, then shows the live ones.
    pub(super) fn show(&mut self, lines: &[String], live: &[String]) {
        match self {
            Self::Plain(writer) => writer.lines(lines),
            Self::Terminal { multi, bars } => {
                // Fewer live lines first: what stays must not leave a gap.
                while bars.len() > live.len()
                    && let Some(bar) = bars.pop()
                {
                    bar.finish_and_clear();
                    multi.remove(&bar);
                }
                for line in lines {
                    let _ = multi.println(line);
                }
                while bars.len() < live.len() {
                    bars.push(multi.add(new_bar()));
                }
                for (bar, line) in bars.iter().zip(live) {
                    if bar.message() != *line {
                        bar.set_message(line.clone());
                    }
                }
            }
        }
    }

    /// Adds one line that stays.
    pub(super) fn print(&mut self, line: &str) {
        match self {
            Self::Plain(writer) => writer.line(line),
            Self::Terminal { multi, .. } => {
                let _ = multi.println(line);
            }
        }
    }

    /// Takes the live lines away.
    pub(super) fn clear(&mut self) {
        self.show(&[], &[]);
    }
}

fn new_bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    // Cut at the terminal's width. The template is a constant that parses.
    if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
        bar.set_style(style);
    }
    bar
}
