//! A Cloud Native Buildpack for Cargo projects. It is one program with two
//! names: `detect` reports whether it can build a source, and `build` builds
//! it.

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
    // This ends the process. The macro that calls it would define a whole
    // `main`.
    libcnb::libcnb_runtime(&RustBuildpack);
    ExitCode::SUCCESS
}
