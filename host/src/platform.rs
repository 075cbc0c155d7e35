//! What the operating system gives this process: terminal, signals, limits, and
//! the places and rules of locald's files.

pub(crate) mod control_file;
pub(crate) mod descriptors;
pub(crate) mod home;
pub(crate) mod signals;
pub(crate) mod state_file;
pub(crate) mod terminal;
