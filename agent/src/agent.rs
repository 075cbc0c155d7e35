//! Holds the state of the agent process: the store, the active requests, the
//! sessions of live folders.

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

/// Bytes at the start of a program that contain its headers and notes.
const START_OF_PROGRAM: u64 = 64 * 1024;

/// The most connections that the agent forwards at a time.
const FORWARDED: usize = 4096;

/// Whether the machine belongs to the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// The machine is a virtual machine that locald made.
    Own,
    /// The machine belongs to a user. The agent only reports its state.
    Shared,
}

/// The state of the agent.
#[derive(Debug)]
pub struct Agent {
    /// The store.
    pub store: Store,
    /// The active requests.
    pub(crate) active: ActiveRequests,
    /// Permits for forwarded connections. All hosts share them.
    pub(crate) forwarded: Semaphore,
    /// The sessions of live folders.
    pub(crate) folders: SyncSessions,
    ownership: Ownership,
    started: Instant,
}

impl Agent {
    /// Opens the store below locald's directory `home`.
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

    /// Waits until a host asks the agent to end.
    pub async fn ended(&self) {
        self.active.ended().await;
    }

    /// Fails if the machine is not the agent's own. `consequence` completes the
    /// message.
    pub(crate) fn require_own(&self, consequence: &str) -> Result<(), Failure> {
        match self.ownership {
            Ownership::Own => Ok(()),
            Ownership::Shared => {
                let message = format!("the machine is not locald's own: {consequence}");
                Err(Failure::new(FailureKind::Unsupported, message))
            }
        }
    }

    /// The agent's own status.
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

/// Runs a hidden task, if this process was started for one, and then does not
/// return. Otherwise returns at once.
///
/// Call it first in `main`, before any thread exists.
pub fn run_hidden_task() {
    reexec::dispatch(&container::TASKS);
}

/// The id of this build of the program.
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
/// The first call determines it. In a user namespace every user is root, whose
/// home differs. So call it before [`enter`](crate::kernel::namespace::enter).
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
