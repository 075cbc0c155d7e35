//! `locald` turns a source folder into an OCI image and a development shell.
//!
//! The program is [`main`]. It is a library so that `fuzz/` can call the
//! parsers of untrusted input.

mod cli;
mod commands;
mod connection;
mod credential;
mod exit_code;
mod export;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod machine;
mod output;
mod platform;
mod project;
mod report;
mod services;
mod settings;
mod sync;

use std::process::ExitCode;

/// Runs the program. Returns its exit code.
pub fn main() -> ExitCode {
    // This process may be a helper process of locald.
    if machine::dispatch() || credential::helper_process::dispatch() {
        return ExitCode::SUCCESS;
    }
    commands::run().into()
}
