//! `locald`: turns a source folder into an OCI image and a development shell.
//!
//! A library only so that what reads untrusted input can be reached by
//! `fuzz/`: the program is [`main`].

mod agent;
mod cli;
mod client;
mod command;
mod control_file;
mod conversation;
mod credential;
mod descriptors;
mod exit_code;
mod export;
mod folder;
mod forward;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod home;
mod host_id;
mod job;
mod machine;
mod outside;
mod printer;
mod project;
mod remembered;
mod settings;
mod signals;
mod source;
mod state_file;
mod terminal;
mod up;
mod watch;

use std::process::ExitCode;

/// The whole program.
pub fn main() -> ExitCode {
    // Hidden tasks of this same program come first.
    if machine::dispatch() || outside::dispatch() {
        return ExitCode::SUCCESS;
    }
    command::run().into()
}
