//! Serves the requests about the machine that the agent runs on: state, clock,
//! disk, console, stop. In a guest of locald, the agent is also `/init`: see
//! [`guest`].

mod console;
pub mod guest;
mod stop;

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::event::MachineStatus;
use protocol::{Failure, FailureKind, Reply};
use rustix::time::{ClockId, Timespec, clock_settime};

use crate::Agent;
use crate::kernel::syscall;

pub(crate) use console::console;
pub(crate) use stop::stop;

const NANOS: u64 = 1_000_000_000;

/// Serves a request for the machine's state.
pub(crate) fn status(agent: &Agent) -> Reply {
    let system = rustix::system::uname();
    let load = read("/proc/loadavg");
    let load = load.split_whitespace().next().unwrap_or_default();
    let load: f64 = load.parse().unwrap_or_default();
    let memory = read("/proc/meminfo");
    let disk = rustix::fs::statvfs(agent.store.root());
    let (size, free) = disk.map_or((0, 0), |disk| {
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        (bytes(disk.f_blocks), bytes(disk.f_bavail))
    });
    Reply::Machine(MachineStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: system.release().to_string_lossy().into_owned(),
        architecture: system.machine().to_string_lossy().into_owned(),
        uptime_millis: seconds(&read("/proc/uptime"), 1000.0),
        processors: std::thread::available_parallelism()
            .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        load: u32::try_from(seconds(&load.to_string(), 100.0)).unwrap_or(u32::MAX),
        memory: kilobytes(&memory, "MemTotal:"),
        memory_available: kilobytes(&memory, "MemAvailable:"),
        disk: size,
        disk_free: free,
        clock: now(),
        running: agent.active.running(),
    })
}

fn read(path: &str) -> String {
    fs_err::read_to_string(path).unwrap_or_default()
}

/// Parses the first number of a text. `parts` is its unit in seconds. Returns
/// whole seconds.
fn seconds(text: &str, parts: f64) -> u64 {
    let first = text.split_whitespace().next().unwrap_or_default();
    let number: f64 = first.parse().unwrap_or_default();
    std::time::Duration::try_from_secs_f64(number * parts)
        .unwrap_or_default()
        .as_secs()
}

/// Parses a line of `/proc/meminfo`. Returns bytes.
fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|it| it.parse::<u64>().ok())
        .unwrap_or_default()
        * 1024
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |it| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX))
}

/// Serves a request to set the clock.
pub(crate) fn set_clock(agent: &Agent, nanos: u64) -> Result<Reply, Failure> {
    agent.require_own("its clock is not set")?;
    let time = Timespec {
        tv_sec: i64::try_from(nanos / NANOS).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(nanos % NANOS).unwrap_or_default(),
    };
    clock_settime(ClockId::Realtime, time).map_err(|errno| {
        let error = io::Error::from(errno);
        Failure::new(
            FailureKind::Machine,
            format!("the clock cannot be set: {error}"),
        )
    })?;
    Ok(Reply::Nothing)
}

/// Serves a request to return unused blocks to the disk.
pub(crate) async fn trim(agent: &Agent) -> Result<Reply, Failure> {
    agent.require_own("its disk is not trimmed")?;
    let root = agent.store.root().to_owned();
    let trim = move || {
        let root = fs_err::File::open(root)?;
        syscall::trim(root.file())
    };
    let trimmed = tokio::task::spawn_blocking(trim).await;
    match trimmed.unwrap_or_else(|error| Err(error.into())) {
        Ok(bytes) => Ok(Reply::Trimmed { bytes }),
        Err(error) => {
            let message = format!("the disk cannot be trimmed: {error}");
            Err(Failure::new(FailureKind::Machine, message))
        }
    }
}

/// Serves a request to remove the content of the store.
pub(crate) async fn clear(agent: &Agent, keep_images: bool) -> Result<Reply, Failure> {
    let store = agent.store.clone();
    let cleared = tokio::task::spawn_blocking(move || store.clear(keep_images)).await;
    match cleared {
        Ok(Ok(true)) => Ok(Reply::Nothing),
        Ok(Ok(false)) => {
            let message = "the store is in use";
            Err(Failure::new(FailureKind::Store, message)
                .with_hint("wait for the builds and shells that use it, or end them"))
        }
        Ok(Err(error)) => Err(error.into()),
        Err(error) => Err(Failure::from_error(FailureKind::Internal, &error)),
    }
}

/// Serves a request for the space that the store occupies.
pub(crate) async fn usage(agent: &Agent) -> Result<Reply, Failure> {
    let store = agent.store.clone();
    let usage = tokio::task::spawn_blocking(move || store.usage_by_part()).await;
    usage
        .map(Reply::Usage)
        .map_err(|error| Failure::from_error(FailureKind::Internal, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_proc_are_read() {
        let text = "MemTotal:       2048 kB\nMemAvailable:    1024 kB\n";
        assert_eq!(kilobytes(text, "MemAvailable:"), 1024 * 1024);
        assert_eq!(kilobytes(text, "Missing:"), 0);
        assert_eq!(seconds("12.34 99.0", 1000.0), 12_340);
        assert_eq!(seconds("none", 100.0), 0);
    }
}
