//! Finds out whether the machine runs, and ends it.

use std::fs::TryLockError;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::QemuError;
use super::folder::{LISTENS, MachineFolder, SWITCHED_OFF};
use crate::platform::state_file;

/// The lock file that every process of a running machine holds.
pub(super) const ALIVE: &str = "alive.lock";
/// Killed processes disappear within this time.
const DEATH: Duration = Duration::from_secs(10);

/// The processes of a run. The process ids are valid only while a process holds
/// the lock.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Processes {
    pub(super) supervisor: u32,
    pub(super) qemu: Option<u32>,
    pub(super) vsock: Option<u32>,
}

/// How a run ended, as its supervisor reports it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) how: String,
}

/// The state of a run, as far as it is known without the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunState {
    /// No process of the machine runs.
    None,
    /// The machine runs, and the agent does not listen yet.
    Starting,
    /// A signal has stopped QEMU.
    Suspended { qemu: Pid },
    /// The agent has started to listen.
    Running,
}

impl MachineFolder {
    pub(super) fn run_state(&self) -> RunState {
        if !self.is_alive() {
            return RunState::None;
        }
        let qemu = self.processes().qemu.and_then(process);
        if let Some(qemu) = qemu
            && state(qemu) == Some('T')
        {
            return RunState::Suspended { qemu };
        }
        if self.console_says(LISTENS) {
            RunState::Running
        } else {
            RunState::Starting
        }
    }

    fn is_alive(&self) -> bool {
        let Ok(file) = fs_err::File::open(self.run().join(ALIVE)) else {
            return false;
        };
        let locked = file.file().try_lock_shared();
        matches!(locked, Err(TryLockError::WouldBlock))
    }

    fn processes(&self) -> Processes {
        self.read("run/processes.json").unwrap_or_default()
    }

    /// Waits until no process of the machine runs.
    pub(super) async fn dead(&self) -> Result<(), QemuError> {
        let path = self.run().join(ALIVE);
        if !path.exists() {
            return Ok(());
        }
        let step = format!("lock {}", path.display());
        let wait = move || state_file::open_lock(&path)?.lock_shared();
        let waited = tokio::task::spawn_blocking(wait).await;
        waited
            .unwrap_or_else(|error| Err(error.into()))
            .map_err(QemuError::io(step))
    }

    /// Kills all processes of the machine.
    pub(super) async fn kill(&self) -> Result<(), QemuError> {
        if !self.is_alive() {
            return Ok(());
        }
        let processes = self.processes();
        let all = [processes.qemu, processes.vsock, Some(processes.supervisor)];
        for pid in all.into_iter().flatten().filter_map(process) {
            if self.is_ours(pid) {
                // The process may have ended meanwhile.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        match tokio::time::timeout(DEATH, self.dead()).await {
            Ok(dead) => dead,
            Err(_) => Err(QemuError::StillRunning { time: DEATH }),
        }
    }

    /// Whether a process works in this machine's folder. The system may have
    /// given its id to another process.
    fn is_ours(&self, pid: Pid) -> bool {
        let cwd = fs_err::read_link(format!("/proc/{pid}/cwd"));
        let run = fs_err::canonicalize(self.run());
        matches!((cwd, run), (Ok(cwd), Ok(run)) if cwd == run)
    }

    /// Records that the user killed the machine, so that it does not count as a
    /// crash.
    pub(super) fn note_killed(&self) -> Result<(), QemuError> {
        self.forget("run/processes.json")?;
        self.forget("run/end.json")
    }

    /// Returns why the last run ended, if that was not a shutdown.
    pub(super) fn end(&self) -> Option<QemuError> {
        if self.console_says(SWITCHED_OFF) {
            return None;
        }
        if let Some(End { how }) = self.read("run/end.json") {
            return Some(QemuError::Crashed { how });
        }
        // The supervisor removes this file when it ends.
        let how = "it was killed together with its supervisor".to_owned();
        self.read::<Processes>("run/processes.json")
            .map(|_| QemuError::Crashed { how })
    }

    /// Removes a file. A missing file is not an error.
    pub(super) fn forget(&self, name: &str) -> Result<(), QemuError> {
        let path = self.root().join(name);
        state_file::remove(&path).map_err(QemuError::io(format!("remove {}", path.display())))
    }
}

/// Resumes a stopped process.
pub(super) fn resume(qemu: Pid) -> Result<(), QemuError> {
    kill_process(qemu, Signal::CONT)
        .map_err(|error| QemuError::io("let the machine go on")(error.into()))
}

fn process(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Returns the state letter of `/proc/PID/stat`.
fn state(pid: Pid) -> Option<char> {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name may contain spaces and parentheses, so start after the
    // last parenthesis.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.trim_start().chars().next()
}
