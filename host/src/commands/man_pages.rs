//! Runs `locald man-pages`, which packages of locald use.

use clap::CommandFactory as _;
use protocol::{Failure, FailureKind};

use crate::cli::{Cli, ManPageOptions};
use crate::exit_code;

pub(super) fn run(options: &ManPageOptions) -> Result<u8, Failure> {
    clap_mangen::generate_to(Cli::command(), &options.folder).map_err(|error| {
        let message = format!("cannot write to {}: {error}", options.folder.display());
        Failure::new(FailureKind::Invalid, message)
    })?;
    Ok(exit_code::SUCCESS)
}
