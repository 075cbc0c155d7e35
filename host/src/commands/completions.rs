//! Runs `locald completions`.

use clap::CommandFactory as _;

use crate::cli::{Cli, CompletionOptions};
use crate::exit_code;
use crate::output::Printer;

pub(super) fn run(options: &CompletionOptions, printer: &mut Printer) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "locald", &mut script);
    printer.text(&String::from_utf8_lossy(&script));
    exit_code::SUCCESS
}
