//! Follows the job control of a shell: Ctrl-Z suspends this process and its
//! containers, `fg` resumes them.

#[cfg(unix)]
#[path = "job/unix.rs"]
mod imp;
#[cfg(not(unix))]
#[path = "job/windows.rs"]
mod imp;

pub(crate) use imp::follow;
