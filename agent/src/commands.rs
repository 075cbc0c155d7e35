//! The requests that are no build: one module serves each.

pub mod doctor;
pub(crate) mod forward;
pub mod image;
pub mod maintenance;
pub mod run;
pub mod shell;
