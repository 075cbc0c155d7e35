//! Raises the number of files that this process may have open. An agent uses
//! several for each program and each connection. Programs that it starts get
//! the original limit.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough for the most requests of several hosts. A higher limit has no use,
/// and some programs iterate over all possible descriptors.
const ENOUGH: u64 = 16_384;

static FIRST: OnceLock<Option<u64>> = OnceLock::new();

/// Raises the limit as far as this process may, and stores the original limit.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    FIRST.get_or_init(|| limit.current);
    let wanted = limit.maximum.map_or(ENOUGH, |most| most.min(ENOUGH));
    if limit.current.is_some_and(|now| now < wanted) {
        set(wanted);
    }
}

/// The original limit of this process; absent if there was none.
pub(crate) fn first() -> Option<u64> {
    match FIRST.get() {
        Some(first) => *first,
        None => getrlimit(Resource::Nofile).current,
    }
}

/// Sets the limit of this process. A program that the agent starts gets the
/// agent's original limit.
pub(crate) fn set(limit: u64) {
    let now = getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: Some(limit),
        maximum: now.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
