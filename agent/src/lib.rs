//! The Linux side of locald: a registry client, a content-addressed store,
//! and runs of the Cloud Native Buildpacks lifecycle in containers.
#![cfg(target_os = "linux")]

pub mod dialogue;
pub mod digest;
pub mod layer;
pub mod namespace;
pub mod reference;
pub mod registry;
pub mod store;
