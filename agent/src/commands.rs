//! Serves the requests about images, processes, shells, the store and forwarded
//! ports. `server/handler.rs` selects the code for each request.

pub mod doctor;
pub(crate) mod forward;
pub mod image;
pub mod maintenance;
pub mod run;
pub mod shell;
