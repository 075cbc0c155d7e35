//! What all requests of an agent share.

use std::path::Path;
use std::time::Instant;

use protocol::event::Status;

use crate::store::{Store, StoreError};

/// An agent.
#[derive(Debug)]
pub struct Agent {
    /// Everything that it keeps.
    pub store: Store,
    started: Instant,
}

impl Agent {
    /// An agent over the store below locald's directory.
    pub fn new(home: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            store: Store::open(&home.join("store"))?,
            started: Instant::now(),
        })
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

/// locald's own directory: `LOCALD_HOME`, else the user's data directory.
pub fn home() -> std::path::PathBuf {
    if let Some(home) = std::env::var_os("LOCALD_HOME").filter(|home| !home.is_empty()) {
        return std::path::absolute(&home).unwrap_or_else(|_| home.into());
    }
    match directories::ProjectDirs::from("dev", "locald", "locald") {
        Some(directories) => directories.data_dir().to_owned(),
        None => "/var/lib/locald".into(),
    }
}
