//! Files of a project on their way between the host and the agent.

pub(crate) mod live_folder;
pub mod source;
