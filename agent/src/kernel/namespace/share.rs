//! Limits the memory and the processes of the agent and its containers
//! together.
//!
//! If the agent's cgroup is delegated to it and has no other process, the agent
//! moves into a child of it once, and sets the limits there. Containers start
//! in that child at no cost. If memory runs out, the kernel kills a container's
//! program before the agent (see `kernel::limits`). Source: Linux,
//! Documentation/admin-guide/cgroup-v2.rst, "Delegation".

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::cgroup::CGROUP;
use crate::kernel::limits;

/// The name of the child.
const CHILD: &str = "locald";

/// Bytes of memory that a guest reserves for its kernel and for processes other
/// than the agent's.
const LEAST_FOR_OTHERS: u64 = 256 * 1024 * 1024;

static MEMORY: OnceLock<u64> = OnceLock::new();

/// Bytes of memory that the agent and its containers may use together; absent
/// if no cgroup limits them.
pub(crate) fn memory() -> Option<u64> {
    MEMORY.get().copied()
}

/// Reads the limit of this process, or sets one if it may.
pub(super) fn limit() {
    let limited = own().and_then(|own| match memory_of(&own) {
        Some(bytes) => Ok(bytes),
        None => claim(&own),
    });
    match limited {
        Ok(bytes) => drop(MEMORY.set(bytes)),
        Err(error) => tracing::debug!(%error, "no cgroup limits memory"),
    }
}

/// Moves this process into a child of a cgroup. The limit of the child leaves
/// some memory for other processes. Returns the limit in bytes. A cgroup whose
/// children have limits may have no process of its own, except the root of the
/// hierarchy.
pub(crate) fn move_into_child(cgroup: &Path) -> io::Result<u64> {
    let child = cgroup.join(CHILD);
    fs_err::create_dir(&child)?;
    let control = cgroup.join("cgroup.subtree_control");
    let limited = enter(&child)
        .and_then(|()| fs_err::write(&control, "+memory +pids"))
        .and_then(|()| set(&child));
    // There is no limit for processors. Containers nevertheless read the files.
    let _ = match &limited {
        Ok(_) => fs_err::write(control, "+cpu"),
        Err(_) => enter(cgroup).and_then(|()| fs_err::remove_dir(&child)),
    };
    limited
}

/// The cgroup of this process in the unified hierarchy.
fn own() -> io::Result<PathBuf> {
    let text = fs_err::read_to_string("/proc/self/cgroup")?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"));
    let path = path.ok_or_else(|| io::Error::other("there is no unified hierarchy"))?;
    Ok(Path::new(CGROUP).join(path.trim_start_matches('/')))
}

fn memory_of(cgroup: &Path) -> Option<u64> {
    let text = fs_err::read_to_string(cgroup.join("memory.max")).ok()?;
    text.trim().parse().ok()
}

fn claim(own: &Path) -> io::Result<u64> {
    let processes = fs_err::read_to_string(own.join("cgroup.procs"))?;
    if processes.trim() != std::process::id().to_string() {
        return Err(io::Error::other("the cgroup has other processes"));
    }
    move_into_child(own)
}

fn enter(cgroup: &Path) -> io::Result<()> {
    fs_err::write(cgroup.join("cgroup.procs"), "0")
}

fn set(cgroup: &Path) -> io::Result<u64> {
    let system = rustix::system::sysinfo();
    let all = (system.totalram as u64).saturating_mul(u64::from(system.mem_unit));
    let bytes = all - (all / 8).max(LEAST_FOR_OTHERS).min(all / 2);
    fs_err::write(cgroup.join("memory.max"), bytes.to_string())?;
    let processes = limits::processes().to_string();
    fs_err::write(cgroup.join("pids.max"), processes)?;
    Ok(bytes)
}
