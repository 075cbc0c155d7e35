//! The Linux side of locald: a registry client, a content-addressed store,
//! and runs of the Cloud Native Buildpacks lifecycle in containers.
#![cfg(target_os = "linux")]

pub mod builder;
pub mod dialogue;
pub mod digest;
pub mod endpoint;
pub mod layer;
pub mod lifecycle;
pub mod namespace;
pub mod reference;
pub mod registry;
pub mod source;
pub mod store;
