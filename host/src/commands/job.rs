//! This process as a job of a shell, which suspends it and lets it go on.

#[cfg(unix)]
#[path = "job/unix.rs"]
mod imp;
#[cfg(not(unix))]
#[path = "job/windows.rs"]
mod imp;

pub(crate) use imp::follow;
