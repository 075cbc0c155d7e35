//! Raises the limit of open files. Each forwarded connection needs one.

#[cfg(unix)]
mod imp {
    //! Unix limits open files per process.

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// The limit that macOS allows every process (`OPEN_MAX`).
    const ENOUGH: u64 = 10_240;

    /// Raises the limit as far as this process may.
    pub(crate) fn raise() {
        let limit = getrlimit(Resource::Nofile);
        let wanted = limit.maximum.map_or(ENOUGH, |most| most.min(ENOUGH));
        if limit.current.is_none_or(|now| now >= wanted) {
            return;
        }
        let limit = Rlimit {
            current: Some(wanted),
            ..limit
        };
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the limit of open files stays as it is");
        }
    }
}
#[cfg(not(unix))]
mod imp {
    //! Windows has no such limit.

    pub(crate) fn raise() {}
}

pub(crate) use imp::raise;
