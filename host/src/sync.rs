//! Lists and moves files between host and agent: the source of a build, and the
//! live folder of a shell. `watch` waits for changes of files.

pub(crate) mod live_folder;
pub(crate) mod source;
pub(crate) mod watch;
