//! The Linux side of locald: a registry client, a content-addressed store,
//! and runs of the Cloud Native Buildpacks lifecycle in containers.
#![cfg(target_os = "linux")]

pub mod container;
pub mod dialogue;
pub mod doctor;
pub mod namespace;
pub mod reexec;
mod syscall;
