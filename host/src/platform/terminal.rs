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

/// How a process is to be attached here: a terminal, when both ends are one.
pub(crate) fn stdio() -> Stdio {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
        return Stdio::Terminal { rows, columns };
    }
    Stdio::Pipes
}

/// How a process is to be attached that nobody types for: a terminal where
/// colours are shown, so that it writes lines as they come, and in colour.
/// `margin` is what stands before each line.
pub(crate) fn output_only(shows_colours: bool, margin: usize) -> Stdio {
    if shows_colours && io::stdout().is_terminal() {
        let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
        let margin = u16::try_from(margin).unwrap_or(u16::MAX);
        let columns = columns.saturating_sub(margin).max(20);
        return Stdio::Terminal { rows, columns };
    }
    Stdio::Pipes
}

/// What a process at a terminal is told of it, and nothing without one.
pub(crate) fn description(stdio: Stdio) -> Vec<EnvVar> {
    match stdio {
        Stdio::Pipes => Vec::new(),
        Stdio::Terminal { .. } => {
            description::of(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        }
    }
}
