//! Probes.
pub(crate) fn probe_here(_name: Option<&std::ffi::OsStr>) -> ! { crate::syscall::exit_now(0) }
