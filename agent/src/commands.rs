//! Serves the requests about images, processes, shells, the store and forwarded
//! ports. `server/handler.rs` maps each request to its code.

pub mod doctor;
pub(crate) mod forward;
pub mod image;
pub mod maintenance;
pub mod run;
pub mod shell;
