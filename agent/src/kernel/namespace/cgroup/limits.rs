//! Reads the cgroup limits of this process, and writes files with these values.
//!
//! Sources: Linux, Documentation/admin-guide/cgroup-v2.rst and
//! cgroup-v1/memory.rst; Documentation/scheduler/sched-bwc.rst.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::CGROUP;

/// The value in a legacy hierarchy that means no memory limit.
const UNLIMITED: u64 = 9_223_372_036_854_771_712;
/// The default period of a quota of processor time, in microseconds.
const USUAL_PERIOD: u64 = 100_000;

/// The lowest limits of this process's cgroup and its ancestors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    layout: Layout,
    /// Memory in bytes; absent without a limit.
    memory: Option<u64>,
    cpu: Option<Quota>,
    processes: Option<u64>,
}

/// The version of cgroups that has the memory controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Layout {
    /// Version 2: one hierarchy for all controllers.
    Unified,
    /// Version 1: one hierarchy for each controller. Also a machine with both
    /// versions.
    Legacy,
}

/// A quota of processor time and its period, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Quota {
    time: u64,
    period: u64,
}

impl Quota {
    /// A comparable number of processors, whatever the period.
    fn cores(self) -> u128 {
        u128::from(self.time) * u128::from(u32::MAX) / u128::from(self.period.max(1))
    }
}

static OF_AGENT: OnceLock<Limits> = OnceLock::new();

impl Limits {
    /// The limits of the agent and its children. The first call must be before
    /// the agent has a cgroup namespace.
    pub(crate) fn of_agent() -> &'static Self {
        OF_AGENT.get_or_init(Self::of_this_process)
    }

    /// Reads the machine's hierarchies. A file that cannot be read means no
    /// limit.
    fn of_this_process() -> Self {
        let own = fs_err::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::read(&own, Path::new(CGROUP))
    }

    /// `own` is the content of `/proc/self/cgroup`.
    fn read(own: &str, root: &Path) -> Self {
        match legacy(own, root, "memory") {
            None => {
                let path = own.lines().find_map(|line| line.strip_prefix("0::"));
                let cgroups = ancestors(root, path.unwrap_or("/"));
                Self {
                    layout: Layout::Unified,
                    memory: least(&cgroups, |it| number(it, "memory.max")),
                    cpu: tightest(&cgroups, |it| unified_quota(&read(it, "cpu.max")?)),
                    processes: least(&cgroups, |it| number(it, "pids.max")),
                }
            }
            Some(memory) => {
                let cpu = legacy(own, root, "cpu").unwrap_or_default();
                let pids = legacy(own, root, "pids").unwrap_or_default();
                let memory = least(&memory, |it| number(it, "memory.limit_in_bytes"));
                Self {
                    layout: Layout::Legacy,
                    memory: memory.filter(|bytes| *bytes < UNLIMITED),
                    cpu: tightest(&cpu, legacy_quota),
                    processes: least(&pids, |it| number(it, "pids.max")),
                }
            }
        }
    }

    /// Writes the files of a cgroup with these limits into a directory.
    pub(super) fn write(&self, directory: &Path) -> io::Result<()> {
        for (name, content) in self.files() {
            let path = directory.join(name);
            fs_err::create_dir_all(path.parent().unwrap_or(directory))?;
            fs_err::write(path, content + "\n")?;
        }
        Ok(())
    }

    fn files(&self) -> Vec<(&'static str, String)> {
        let or_max = |limit: Option<u64>| limit.map_or("max".to_owned(), |it| it.to_string());
        let processes = or_max(self.processes);
        let period = self.cpu.map_or(USUAL_PERIOD, |quota| quota.period);
        let time = self.cpu.map(|quota| quota.time);
        match self.layout {
            Layout::Unified => vec![
                ("cgroup.controllers", "cpu memory pids".to_owned()),
                ("cgroup.type", "domain".to_owned()),
                ("cpu.max", format!("{} {period}", or_max(time))),
                ("cpu.weight", "100".to_owned()),
                ("memory.high", "max".to_owned()),
                ("memory.low", "0".to_owned()),
                ("memory.max", or_max(self.memory)),
                ("memory.min", "0".to_owned()),
                ("memory.swap.max", "max".to_owned()),
                ("pids.max", processes),
            ],
            Layout::Legacy => {
                let memory = self.memory.unwrap_or(UNLIMITED).to_string();
                let unlimited = UNLIMITED.to_string();
                let time = time.map_or("-1".to_owned(), |time| time.to_string());
                vec![
                    ("cpu/cpu.cfs_period_us", period.to_string()),
                    ("cpu/cpu.cfs_quota_us", time),
                    ("cpu/cpu.shares", "1024".to_owned()),
                    ("memory/memory.limit_in_bytes", memory),
                    ("memory/memory.soft_limit_in_bytes", unlimited),
                    ("pids/pids.max", processes),
                ]
            }
        }
    }
}

/// The cgroup of this process and its ancestors, in the legacy hierarchy of a
/// controller.
fn legacy(own: &str, root: &Path, controller: &str) -> Option<Vec<PathBuf>> {
    let path = own.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let has = controllers.split(',').any(|name| name == controller);
        has.then_some(path)
    });
    Some(ancestors(&root.join(controller), path?))
}

/// A cgroup and its ancestors. In a container that sees only its own cgroup,
/// the path does not exist, and only the root does.
fn ancestors(root: &Path, path: &str) -> Vec<PathBuf> {
    let path = Path::new(path.trim_start_matches('/'));
    path.ancestors().map(|it| root.join(it)).collect()
}

fn least(cgroups: &[PathBuf], limit: impl Fn(&Path) -> Option<u64>) -> Option<u64> {
    cgroups.iter().filter_map(|cgroup| limit(cgroup)).min()
}

fn tightest(cgroups: &[PathBuf], quota: impl Fn(&Path) -> Option<Quota>) -> Option<Quota> {
    let quotas = cgroups.iter().filter_map(|cgroup| quota(cgroup));
    quotas.min_by_key(|quota| quota.cores())
}

fn unified_quota(text: &str) -> Option<Quota> {
    let (time, period) = text.split_once(' ')?;
    Some(Quota {
        time: time.parse().ok()?,
        period: period.parse().ok()?,
    })
}

fn legacy_quota(cgroup: &Path) -> Option<Quota> {
    Some(Quota {
        // The value is -1 without a limit.
        time: number(cgroup, "cpu.cfs_quota_us")?,
        period: number(cgroup, "cpu.cfs_period_us")?,
    })
}

fn number(cgroup: &Path, name: &str) -> Option<u64> {
    read(cgroup, name)?.parse().ok()
}

fn read(cgroup: &Path, name: &str) -> Option<String> {
    let text = fs_err::read_to_string(cgroup.join(name)).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn hierarchy(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, format!("{content}\n")).unwrap();
        }
        root
    }

    fn said(limits: &Limits, name: &str) -> String {
        let files = limits.files();
        let file = files.into_iter().find(|(file, _)| *file == name);
        file.unwrap().1
    }

    #[test]
    fn the_least_of_all_cgroups_on_the_way_counts() {
        let root = hierarchy(&[
            ("user/memory.max", "500"),
            ("user/cpu.max", "150000 100000"),
            ("user/app/memory.max", "max"),
            ("user/app/cpu.max", "100000 50000"),
            ("user/app/pids.max", "77"),
        ]);
        let limits = Limits::read("0::/user/app\n", root.path());
        assert_eq!(said(&limits, "memory.max"), "500");
        assert_eq!(said(&limits, "cpu.max"), "150000 100000");
        assert_eq!(said(&limits, "pids.max"), "77");
    }

    #[test]
    fn a_machine_without_limits_says_so() {
        let root = hierarchy(&[]);
        let limits = Limits::read("0::/\n", root.path());
        assert_eq!(said(&limits, "memory.max"), "max");
        assert_eq!(said(&limits, "cpu.max"), "max 100000");
        let limits = Limits::read("4:memory:/\n0::/\n", root.path());
        let unlimited = "9223372036854771712";
        assert_eq!(said(&limits, "memory/memory.limit_in_bytes"), unlimited);
        assert_eq!(said(&limits, "cpu/cpu.cfs_quota_us"), "-1");
    }

    #[test]
    fn legacy_hierarchies_are_read_where_they_have_the_memory() {
        let root = hierarchy(&[
            ("memory/a/memory.limit_in_bytes", "4096"),
            ("memory/a/b/memory.limit_in_bytes", "9223372036854771712"),
            ("cpu/a/cpu.cfs_quota_us", "-1"),
            ("cpu/a/cpu.cfs_period_us", "100000"),
            ("pids/pids.max", "max"),
        ]);
        let own = "9:pids:/\n4:memory:/a/b\n2:cpu,cpuacct:/a\n0::/\n";
        let limits = Limits::read(own, root.path());
        assert_eq!(limits.layout, Layout::Legacy);
        assert_eq!(said(&limits, "memory/memory.limit_in_bytes"), "4096");
        assert_eq!(said(&limits, "cpu/cpu.cfs_quota_us"), "-1");
        assert_eq!(said(&limits, "pids/pids.max"), "max");
    }

    /// A Docker container, whose hierarchy starts at its own cgroup.
    #[test]
    fn a_path_that_is_not_visible_is_passed_over() {
        let root = hierarchy(&[("memory/memory.limit_in_bytes", "4096")]);
        let limits = Limits::read("4:memory:/docker/0a\n", root.path());
        assert_eq!(said(&limits, "memory/memory.limit_in_bytes"), "4096");
    }
}
