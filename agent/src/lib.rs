//! The Linux side of locald: a registry client, a content-addressed store,
//! and runs of the Cloud Native Buildpacks lifecycle in containers.
#![cfg(target_os = "linux")]

mod agent;
mod attach;
mod boot;
pub mod build;
pub mod builder;
pub mod buildpackage;
pub mod container;
mod crash;
pub mod descriptors;
pub mod dialogue;
pub mod digest;
pub mod doctor;
pub mod embedded;
pub mod endpoint;
mod environment;
mod folder;
mod forward;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod handler;
pub mod image;
pub mod layer;
pub mod lifecycle;
mod listing;
pub mod machine;
mod media_type;
pub mod namespace;
mod note;
mod ports;
pub mod reexec;
pub mod reference;
pub mod registry;
pub mod run;
pub mod serve;
pub mod session;
pub mod shell;
pub mod source;
pub mod store;
mod syscall;
pub mod threads;
mod trust;
pub mod upkeep;
mod walk;
mod work;

pub use agent::{Agent, build_id, home};
