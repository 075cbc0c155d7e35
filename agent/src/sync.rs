//! Transfers a project's files from the host to the agent, and back.

pub(crate) mod live_folder;
pub mod source;
