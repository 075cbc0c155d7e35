//! The state of the agent process: the store, the active requests, the sessions
//! of live folders.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Instant;

use protocol::event::Status;
use protocol::{Failure, FailureKind, build_id};
use tokio::sync::Semaphore;

use crate::container;
use crate::kernel::reexec;
use crate::request::active::ActiveRequests;
use crate::store::{Store, StoreError};
use crate::sync::live_folder::SyncSessions;

/// Bytes of a program that hold its headers and notes.
const START_OF_PROGRAM: u64 = 64 * 1024;

/// Connections that are forwarded at a time.
const FORWARDED: usize = 4096;

/// Whose the machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// The agent's own: a virtual machine that locald made.
    Own,
    /// Somebody else's: the agent only reports its state.
    Shared,
}

/// An agent.
#[derive(Debug)]
pub struct Agent {
    /// Everything that it keeps.
    pub store: Store,
    /// What it is doing.
    pub(crate) active: ActiveRequests,
    /// Places of connections that it forwards, whatever hosts ask for.
    pub(crate) forwarded: Semaphore,
    /// Whose folders it keeps in step.
    pub(crate) folders: SyncSessions,
    ownership: Ownership,
    started: Instant,
}

impl Agent {
    /// An agent over the store below locald's directory.
    pub fn new(home: &Path, ownership: Ownership) -> Result<Self, StoreError> {
        Ok(Self {
            store: Store::open(&home.join("store"))?,
            active: ActiveRequests::default(),
            forwarded: Semaphore::new(FORWARDED),
            folders: SyncSessions::default(),
            ownership,
            started: Instant::now(),
        })
    }

    /// Waits until a host wants the agent to end.
    pub async fn ended(&self) {
        self.active.ended().await;
    }

    /// Refuses what would change a machine that is not the agent's own.
    pub(crate) fn require_own(&self, consequence: &str) -> Result<(), Failure> {
        match self.ownership {
            Ownership::Own => Ok(()),
            Ownership::Shared => {
                let message = format!("the machine is not locald's own: {consequence}");
                Err(Failure::new(FailureKind::Unsupported, message))
            }
        }
    }

    /// The agent's own state.
    pub fn status(&self) -> Status {
        let uptime = self.started.elapsed().as_millis();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_millis: u64::try_from(uptime).unwrap_or(u64::MAX),
            store_bytes: self.store.usage(),
            store_path: self.store.root().display().to_string(),
        }
    }
}

/// Returns, unless this process was started to do a hidden task of a
/// container: then it does that and never returns.
///
/// Call it first in `main`, before any thread exists.
pub fn run_hidden_task() {
    reexec::dispatch(&container::TASKS);
}

/// Which build this program is.
pub fn build_id() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        let mut start = Vec::new();
        let read = fs_err::File::open("/proc/self/exe")
            .and_then(|file| file.take(START_OF_PROGRAM).read_to_end(&mut start));
        let name = read.ok().and_then(|_| build_id::of_program(&start));
        name.unwrap_or_else(build_id::of_version)
    });
    &NAME
}

/// locald's own directory: `LOCALD_HOME`, else the user's data directory.
///
/// It is found once: in a user namespace everybody is root, who has another
/// home. Call it before [`enter`](crate::kernel::namespace::enter).
pub fn home() -> &'static Path {
    static HOME: LazyLock<PathBuf> = LazyLock::new(|| {
        if let Some(home) = std::env::var_os("LOCALD_HOME").filter(|home| !home.is_empty()) {
            return std::path::absolute(&home).unwrap_or_else(|_| home.into());
        }
        match directories::ProjectDirs::from("dev", "locald", "locald") {
            Some(directories) => directories.data_dir().to_owned(),
            None => "/var/lib/locald".into(),
        }
    });
    &HOME
}
