//! Child processes that outlive a Ctrl-C, which is this process's to handle.

#[cfg(unix)]
#[path = "spawn/unix.rs"]
mod imp;
#[cfg(not(unix))]
#[path = "spawn/windows.rs"]
mod imp;

pub(super) use imp::{ignoring_interrupts, in_own_group};
