//! Moves files between host and agent: the source of a build, and the live
//! folder of a shell.

pub(crate) mod live_folder;
pub(crate) mod source;
pub(crate) mod watch;
