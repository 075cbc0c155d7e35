//! What a file of a disk takes: less than its length when it has holes.

#[cfg(unix)]
#[path = "disk/unix.rs"]
mod imp;
#[cfg(not(unix))]
#[path = "disk/windows.rs"]
mod imp;

pub(super) use imp::usage;
