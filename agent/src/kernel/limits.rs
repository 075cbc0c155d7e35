//! Limits how much a container may take of the machine.
//!
//! The kernel counts a container's processes for its user namespace, without a
//! cgroup, since Linux 5.14. Memory has no limit of its own: when the machine
//! has none left, the kernel ends a container's program before others.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than any build has been seen to need.
const MOST_PROCESSES: u64 = 32_768;
/// What the kernel adds to the badness of a container's processes, of 1000.
const OUT_OF_MEMORY_FIRST: i32 = 500;

/// The most processes and threads of a container: half of what the machine can
/// have at the most. A container has its own idea of that.
pub(crate) fn processes() -> u64 {
    let most = ["pid_max", "threads-max"].iter().filter_map(|name| {
        let text = fs_err::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?;
        text.trim().parse::<u64>().ok()
    });
    most.map(|most| most / 2)
        .fold(MOST_PROCESSES, std::cmp::min)
}

/// Limits this process and all that it starts. Belongs into the user namespace
/// that is to be counted, before its ids change.
pub(crate) fn apply(processes: u64) -> io::Result<()> {
    let inherited = getrlimit(Resource::Nproc).maximum;
    let most = Some(inherited.map_or(processes, |most| most.min(processes)));
    let limit = Rlimit {
        current: most,
        maximum: most,
    };
    Ok(setrlimit(Resource::Nproc, limit)?)
}

/// Makes this process, and all that it starts, what the kernel ends first when
/// memory runs out. No container is refused for a kernel that does not.
pub(crate) fn raise_oom_score() {
    const FILE: &str = "/proc/self/oom_score_adj";
    let own = fs_err::read_to_string(FILE).ok();
    let own = own.and_then(|text| text.trim().parse::<i32>().ok());
    if own.is_some_and(|own| own < OUT_OF_MEMORY_FIRST)
        && let Err(error) = fs_err::write(FILE, OUT_OF_MEMORY_FIRST.to_string())
    {
        tracing::debug!(%error, "what the kernel ends first stays as it is");
    }
}
