//! The Linux side of locald: a registry client, a content-addressed store,
//! and runs of the Cloud Native Buildpacks lifecycle in containers.
#![cfg(target_os = "linux")]

mod agent;
pub mod buildpack_build;
pub mod commands;
pub mod container;
mod crash;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod images;
pub mod kernel;
pub mod machine;
mod process;
pub mod registry;
pub mod request;
pub mod server;
pub mod store;
pub mod sync;

pub use agent::{Agent, Ownership, build_id, home, run_hidden_task};
