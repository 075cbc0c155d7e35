//! Draws a terminal: lines that stay, and live lines below them.
//!
//! Between two writes the cursor is at the beginning of the live lines. So
//! locald erases them without counting rows: a terminal that wraps its lines
//! again after a change of its size moves the cursor with the text. Live lines
//! are cut at the terminal's width. The terminal wraps lines that stay, so that
//! users can copy them whole.

use std::collections::BTreeMap;
use std::io::Write;

use super::width;

/// Starts a synchronised update: the terminal shows the following text at once,
/// if it supports that.
const BEGIN: &str = "\u{1b}[?2026h";
const END: &str = "\u{1b}[?2026l";
/// Erases from the start of the cursor's line to the end of the screen. This
/// includes text that the terminal has echoed there, such as `^C`. The space is
/// for tmux: it keeps the old text in its scrollback if a program erases the
/// whole screen.
const ERASE: &str = "\r \u{1b}[J\r\u{1b}[K";
/// Disables wrapping. A terminal may measure a character as wider than locald
/// does, and would wrap the line.
const NO_WRAP: &str = "\u{1b}[?7l";
const WRAP: &str = "\u{1b}[?7h";

/// The properties of a terminal window.
pub(super) trait TerminalWindow: Send {
    /// Returns columns and rows. Returns `None` while another program uses the
    /// terminal.
    fn size(&self) -> Option<(usize, usize)>;
    /// Whether standard output goes to the same terminal.
    fn has_stdout(&self) -> bool;
}

/// A group of live lines. The screen shows regions in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Region(usize);

/// A terminal with live lines.
pub(super) struct Display {
    writer: Box<dyn Write + Send>,
    window: Box<dyn TerminalWindow>,
    regions: usize,
    live: BTreeMap<Region, Vec<String>>,
    /// The live lines on the screen.
    drawn: Vec<String>,
    hidden: bool,
}

impl Display {
    pub(super) fn new(writer: Box<dyn Write + Send>, window: Box<dyn TerminalWindow>) -> Self {
        Self {
            writer,
            window,
            regions: 0,
            live: BTreeMap::new(),
            drawn: Vec::new(),
            hidden: false,
        }
    }

    /// Adds a region below the others.
    pub(super) fn region(&mut self) -> Region {
        self.regions += 1;
        Region(self.regions)
    }

    /// Prints lines that stay, and replaces the live lines of a region.
    pub(super) fn show(&mut self, region: Region, lines: &[String], live: &[String]) {
        if live.is_empty() {
            self.live.remove(&region);
        } else {
            self.live.insert(region, live.to_vec());
        }
        self.print(lines);
    }

    /// Prints lines that stay.
    pub(super) fn print(&mut self, lines: &[String]) {
        let live = self.cut();
        if lines.is_empty() && live == self.drawn {
            return;
        }
        let mut frame = BEGIN.to_owned();
        frame.push_str(self.erase());
        for line in lines {
            frame.push_str(line);
            frame.push_str("\r\n");
        }
        draw(&live, &mut frame);
        frame.push_str(END);
        self.drawn = live;
        self.write(&frame);
    }

    /// Returns the maximum width of a live line in columns.
    pub(super) fn columns(&self) -> usize {
        self.window.size().map_or(0, |(columns, _)| columns)
    }

    /// Runs `write`, which writes to standard output, without damage to the
    /// live lines.
    pub(super) fn beside(&mut self, write: impl FnOnce()) {
        if !self.window.has_stdout() {
            return write();
        }
        let erase = self.erase();
        self.write(&format!("{BEGIN}{erase}"));
        write();
        let mut frame = String::new();
        self.drawn = self.cut();
        draw(&self.drawn, &mut frame);
        self.write(&format!("{frame}{END}"));
    }

    /// Hides all live lines until [`unhide`](Self::unhide).
    pub(super) fn hide(&mut self) {
        self.hidden = true;
        self.print(&[]);
    }

    /// Shows the live lines again, below the text that other programs have
    /// written meanwhile.
    pub(super) fn unhide(&mut self) {
        self.hidden = false;
        self.print(&[]);
    }

    /// Returns the sequence that erases the live lines. Empty while another
    /// program uses the terminal.
    fn erase(&self) -> &'static str {
        match self.window.size() {
            Some(_) => ERASE,
            None => "",
        }
    }

    /// Returns the live lines that fit into the window, cut at its width.
    fn cut(&self) -> Vec<String> {
        let size = self.window.size().filter(|_| !self.hidden);
        let Some((columns, rows)) = size else {
            return Vec::new();
        };
        let lines: Vec<_> = self.live.values().flatten().collect();
        let hidden = lines.len().saturating_sub(rows.saturating_sub(1));
        let shown = lines.into_iter().skip(hidden);
        shown.map(|line| width::fit(line, columns)).collect()
    }

    /// Ignores errors: a closed terminal has no reader.
    fn write(&mut self, text: &str) {
        let _ = self.writer.write_all(text.as_bytes());
        let _ = self.writer.flush();
    }
}

/// Writes live lines into a frame, and moves the cursor back to their start.
fn draw(live: &[String], frame: &mut String) {
    let Some(rows) = live.len().checked_sub(1) else {
        return;
    };
    frame.push_str(NO_WRAP);
    frame.push_str(&live.join("\r\n"));
    frame.push_str(WRAP);
    frame.push('\r');
    if rows > 0 {
        frame.push_str("\u{1b}[");
        frame.push_str(&rows.to_string());
        frame.push('A');
    }
}

#[cfg(test)]
pub(super) mod tests;
