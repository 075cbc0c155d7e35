//! Probes.
pub(crate) fn probe_here(_name: Option<&std::ffi::OsStr>) -> ! {
    crate::syscall::exit_now(0)
}
/// Placeholder until the probes land.
pub async fn run(
    _agent: &crate::Agent,
    _dialogue: &crate::dialogue::Dialogue,
) -> Result<protocol::Reply, protocol::Failure> {
    Ok(protocol::Reply::Nothing)
}
