//! Limits the share of the machine that a container may use.
//!
//! Since Linux 5.14 the kernel counts the processes of a container's user
//! namespace, without a cgroup. Memory has no such limit. If the machine runs
//! out of memory, the kernel kills a container's program before other
//! processes.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More processes than any known build needs.
const MOST_PROCESSES: u64 = 32_768;
/// The addition to the badness of a container's processes, of 1000.
const OUT_OF_MEMORY_FIRST: i32 = 500;

/// The most processes and threads of a container: half of the machine's
/// maximum. A container counts its processes separately.
pub(crate) fn processes() -> u64 {
    let most = ["pid_max", "threads-max"].iter().filter_map(|name| {
        let text = fs_err::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?;
        text.trim().parse::<u64>().ok()
    });
    most.map(|most| most / 2)
        .fold(MOST_PROCESSES, std::cmp::min)
}

/// Limits this process and its children. Call it in the user namespace that the
/// kernel has to count, before the ids change.
pub(crate) fn apply(processes: u64) -> io::Result<()> {
    let inherited = getrlimit(Resource::Nproc).maximum;
    let most = Some(inherited.map_or(processes, |most| most.min(processes)));
    let limit = Rlimit {
        current: most,
        maximum: most,
    };
    Ok(setrlimit(Resource::Nproc, limit)?)
}

/// Makes the kernel kill this process and its children first if memory runs
/// out. Ignores an error, because a container also works without it.
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
