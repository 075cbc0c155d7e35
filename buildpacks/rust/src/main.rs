//! A Cloud Native Buildpack for Cargo projects. It is one program: called
//! `detect` it says whether it can build a source, called `build` it does.

mod apt;
mod assets;
mod binaries;
mod buildpack;
mod cache;
mod cargo;
mod compilation;
mod credentials;
mod development;
mod elf;
mod environment;
mod error;
mod explain;
mod freshness;
mod http;
mod libraries;
mod manifest;
mod output;
mod processes;
mod programs;
mod sbom;
mod selection;
mod settings;
mod sweep;
mod target;
mod targets;
mod times;
mod toolchain;
mod vendored;

use std::process::ExitCode;

use buildpack::RustBuildpack;

fn main() -> ExitCode {
    if let Err(error) = environment::complete() {
        output::error(&error, None);
        return ExitCode::FAILURE;
    }
    // It ends the process. The macro that calls it makes a whole `main`.
    libcnb::libcnb_runtime(&RustBuildpack);
    ExitCode::SUCCESS
}
