//! The terminal of this process: raw mode, input, output, size, and its
//! description in the environment.

use std::io::{self, IsTerminal as _};

use protocol::request::{EnvVar, Stdio};

mod description;

#[cfg(unix)]
#[path = "terminal/unix.rs"]
mod imp;
#[cfg(not(unix))]
#[path = "terminal/windows.rs"]
mod imp;

pub(crate) use imp::{Input, Output, RawMode, is_in_foreground, prepare};

/// Returns how to attach a process: by a terminal, if standard input and output
/// are terminals.
pub(crate) fn stdio() -> Stdio {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
        return Stdio::Terminal { rows, columns };
    }
    Stdio::Pipes
}

/// Returns how to attach a process that gets no input. If the output has
/// colours, it is a terminal: then programs use colours, and do not buffer
/// lines. `margin` is the width of the label before each line, in characters.
pub(crate) fn output_only(shows_colours: bool, margin: usize) -> Stdio {
    if shows_colours && io::stdout().is_terminal() {
        let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
        let margin = u16::try_from(margin).unwrap_or(u16::MAX);
        let columns = columns.saturating_sub(margin).max(20);
        return Stdio::Terminal { rows, columns };
    }
    Stdio::Pipes
}

/// Returns the variables that describe the terminal. Empty for pipes.
pub(crate) fn description(stdio: Stdio) -> Vec<EnvVar> {
    match stdio {
        Stdio::Pipes => Vec::new(),
        Stdio::Terminal { .. } => {
            description::of(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        }
    }
}
