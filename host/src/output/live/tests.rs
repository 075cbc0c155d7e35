//! Tests with a terminal emulator: the lines on the screen and in the
//! scrollback.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io;
use std::sync::{Arc, Mutex};

use super::*;

/// A terminal that wraps its lines again when its size changes.
#[derive(Clone)]
pub(in crate::output) struct Emulator(Arc<Mutex<avt::Terminal>>);

impl Emulator {
    pub(in crate::output) fn new(columns: usize, rows: usize) -> Self {
        let terminal = avt::Terminal::with_scrollback(columns, rows, None).unwrap();
        Self(Arc::new(Mutex::new(terminal)))
    }

    fn display(&self) -> Display {
        Display::new(Box::new(self.clone()), Box::new(self.clone()))
    }

    fn resize(&self, columns: usize, rows: usize) {
        self.0.lock().unwrap().resize(columns, rows);
    }

    /// Handles output of a program.
    fn take(&self, text: &str) {
        let mut terminal = self.0.lock().unwrap();
        for part in text.split_inclusive('J') {
            terminal.feed(part.trim_end_matches("[J"));
            if part.ends_with("[J") {
                let at = terminal.cursor_position();
                assert_ne!((at.col, at.row), (0, 0), "tmux would keep what is erased");
                terminal.feed("[J");
            }
        }
    }

    /// Handles the terminal's own echo of keys.
    fn echo(&self, text: &str) {
        self.0.lock().unwrap().feed(text);
    }

    /// Returns the lines as a user copies them, without empty ones at the end.
    pub(in crate::output) fn text(&self) -> Vec<String> {
        let mut lines = self.0.lock().unwrap().screen().text();
        while lines.pop_if(|line| line.is_empty()).is_some() {}
        lines
    }
}

impl io::Write for Emulator {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take(std::str::from_utf8(bytes).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminalWindow for Emulator {
    fn size(&self) -> Option<(usize, usize)> {
        Some(self.0.lock().unwrap().size())
    }

    fn has_stdout(&self) -> bool {
        true
    }
}

/// Lines of programs, and their text in a terminal.
const LINES: [(&str, &str); 7] = [
    ("plain", "plain"),
    (
        "\tat Main.main(Main.java:3)",
        "        at Main.main(Main.java:3)",
    ),
    ("key\tvalue", "key     value"),
    (
        "👩\u{200d}👩\u{200d}👧 joined",
        "👩\u{200d}👩\u{200d}👧 joined",
    ),
    ("日本語のテキスト", "日本語のテキスト"),
    ("e\u{301}te\u{301}", "e\u{301}te\u{301}"),
    (
        "a line that is longer than the forty columns of a small terminal",
        "a line that is longer than the forty columns of a small terminal",
    ),
];

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn lines_stay_as_they_are_whatever_is_live_below_them() {
    for (columns, rows) in [(40, 10), (80, 24), (200, 50), (12, 3), (40, 1)] {
        let emulator = Emulator::new(columns, rows);
        let mut display = emulator.display();
        let region = display.region();
        let mut expected = Vec::new();
        for (index, (line, shown)) in LINES.iter().enumerate() {
            let live: Vec<_> = LINES.iter().take(index).map(|(line, _)| *line).collect();
            display.show(region, &owned(&[line]), &owned(&live));
            expected.push((*shown).to_owned());
            let text = emulator.text();
            assert_eq!(text[..expected.len()], expected, "{columns}x{rows}");
            let drawn = text.len() - expected.len();
            assert_eq!(
                drawn,
                live.len().min(rows - 1),
                "{columns}x{rows}: {text:#?}"
            );
        }
        display.show(region, &[], &[]);
        assert_eq!(emulator.text(), expected, "{columns}x{rows}");
    }
}

#[test]
fn a_new_size_costs_no_line_at_any_moment() {
    let sizes = [(40, 10), (200, 50), (23, 6), (80, 24), (120, 4)];
    // Test each point between two frames, and each change of size there.
    for moment in 0..LINES.len() {
        for from in sizes {
            for to in sizes {
                let emulator = Emulator::new(from.0, from.1);
                let mut display = emulator.display();
                let (first, second) = (display.region(), display.region());
                display.show(first, &[], &owned(&["one", LINES[6].0, LINES[3].0]));
                for (index, (line, _)) in LINES.iter().enumerate() {
                    let live = owned(&[line, LINES[6].0]);
                    display.show(second, &owned(&[line]), &live);
                    if index == moment {
                        emulator.resize(to.0, to.1);
                    }
                }
                display.show(second, &[], &[]);
                display.show(first, &[], &[]);
                let expected: Vec<_> = LINES.iter().map(|(_, shown)| *shown).collect();
                let text = emulator.text();
                assert_eq!(text, expected, "{from:?} to {to:?} after {moment}");
            }
        }
    }
}

#[test]
fn what_the_terminal_echoes_shifts_nothing() {
    let emulator = Emulator::new(40, 10);
    let mut display = emulator.display();
    let region = display.region();
    display.show(region, &owned(&["building"]), &owned(&["live", "tail"]));
    emulator.echo("^C");
    display.show(region, &owned(&["stopping"]), &[]);
    emulator.echo("^C");
    display.print(&owned(&["stopped"]));
    emulator.echo("^C");
    display.beside(|| emulator.echo("a service's line\r\n"));
    let expected = ["building", "stopping", "stopped", "a service's line"];
    assert_eq!(emulator.text(), expected);
}

#[test]
fn a_suspended_program_leaves_no_live_line() {
    let emulator = Emulator::new(40, 10);
    let mut display = emulator.display();
    let region = display.region();
    display.show(region, &owned(&["building"]), &owned(&["live", "tail"]));
    emulator.echo("^Z");
    display.hide();
    assert_eq!(emulator.text(), ["building"]);
    emulator.echo("[1]+ Stopped\r\n$ fg\r\n");
    display.unhide();
    let expected = ["building", "[1]+ Stopped", "$ fg", "live", "tail"];
    assert_eq!(emulator.text(), expected);
    display.show(region, &[], &[]);
    assert_eq!(emulator.text(), expected[..3]);
}

#[test]
fn live_lines_of_others_stay() {
    let emulator = Emulator::new(40, 10);
    let mut display = emulator.display();
    let (first, second) = (display.region(), display.region());
    display.show(second, &[], &owned(&["second"]));
    display.show(first, &[], &owned(&["first"]));
    assert_eq!(emulator.text(), ["first", "second"]);
    display.show(first, &owned(&["done"]), &[]);
    assert_eq!(emulator.text(), ["done", "second"]);
}
