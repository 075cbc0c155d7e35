//! Serves all requests except builds; one module for each.

pub mod doctor;
pub(crate) mod forward;
pub mod image;
pub mod maintenance;
pub mod run;
pub mod shell;
