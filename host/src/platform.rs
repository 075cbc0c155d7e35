//! Uses the operating system: terminal, signals, limits, and the files and
//! folders of locald itself.

pub(crate) mod control_file;
pub(crate) mod descriptors;
pub(crate) mod home;
pub(crate) mod signals;
pub(crate) mod state_file;
pub(crate) mod terminal;
