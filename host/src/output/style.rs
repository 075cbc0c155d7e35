//! The text styles of locald's own messages.

use anstyle::{AnsiColor, Style as Look};

/// Whether text has colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    coloured: bool,
}

impl Style {
    pub(super) const fn new(coloured: bool) -> Self {
        Self { coloured }
    }

    pub(super) const fn is_coloured(self) -> bool {
        self.coloured
    }

    pub(super) fn error(self, text: &str) -> String {
        self.paint(AnsiColor::Red.on_default().bold(), text)
    }

    pub(super) fn warning(self, text: &str) -> String {
        self.paint(AnsiColor::Yellow.on_default().bold(), text)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.paint(AnsiColor::Green.on_default().bold(), text)
    }

    pub(super) fn hint(self, text: &str) -> String {
        self.paint(AnsiColor::Cyan.on_default(), text)
    }

    pub(super) fn heading(self, text: &str) -> String {
        self.paint(AnsiColor::Cyan.on_default().bold(), text)
    }

    pub(super) fn strong(self, text: &str) -> String {
        self.paint(Look::new().bold(), text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.paint(Look::new().dimmed(), text)
    }

    /// Colours a text by its number, so that neighbours differ.
    pub(super) fn one_of_many(self, text: &str, number: usize) -> String {
        const COLOURS: [AnsiColor; 6] = [
            AnsiColor::Cyan,
            AnsiColor::Yellow,
            AnsiColor::Green,
            AnsiColor::Magenta,
            AnsiColor::Blue,
            AnsiColor::BrightCyan,
        ];
        self.paint(COLOURS[number % COLOURS.len()].on_default(), text)
    }

    fn paint(self, look: Look, text: &str) -> String {
        if self.coloured {
            format!("{}{text}{}", look.render(), look.render_reset())
        } else {
            text.to_owned()
        }
    }
}
