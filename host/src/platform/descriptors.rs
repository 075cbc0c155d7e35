//! How many files this process may have open at a time: each forwarded
//! connection needs one.

#[cfg(unix)]
#[path = "descriptors/unix.rs"]
mod imp;
#[cfg(not(unix))]
#[path = "descriptors/windows.rs"]
mod imp;

pub(crate) use imp::raise;
