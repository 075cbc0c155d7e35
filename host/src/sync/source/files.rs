//! Reads names, modes and times of files, and encodes paths for the protocol.

#[cfg(unix)]
#[path = "files/unix.rs"]
mod imp;
#[cfg(not(unix))]
#[path = "files/windows.rs"]
mod imp;

pub(super) use imp::{IGNORES_CASE, mode, name, stamp, target};
pub(crate) use imp::{link, path, refusal, set_mode};
