//! Cargo projects, with the buildpack that is embedded in locald: real crates
//! from the registry, compiled in real containers.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod development;
mod errors;
mod incremental;
mod interruption;
mod kept;
mod native;
mod private;
mod projects;
mod shared;
mod targets;
mod toolchains;
mod watch;
