//! The states of the services that `locald up` runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The state of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ServiceState {
    /// It waits for its image or for its dependencies.
    Waiting,
    /// Its process runs, and is not healthy yet.
    Starting,
    Healthy,
    /// It has crashed, and waits before it starts again.
    Resting,
    /// Its process ended by itself, with this exit code.
    Ended(u8),
    Stopping,
    /// The user has stopped it.
    Stopped,
}

impl ServiceState {
    /// Returns the state's name, one word.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Resting => "resting",
            Self::Ended(_) => "ended",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }

    /// Whether services that depend on it may start. A job that has ended with
    /// 0 counts, too.
    pub(crate) const fn is_ready(self) -> bool {
        matches!(self, Self::Healthy | Self::Ended(0))
    }

    /// Whether the state stays until an order arrives.
    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::Ended(_) | Self::Stopped)
    }
}

/// The status of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServiceStatus {
    pub(crate) state: ServiceState,
    pub(crate) port: Option<u16>,
    /// The number of restarts after a crash.
    pub(crate) restarts: u32,
    /// When the state last changed, in seconds since the epoch.
    pub(crate) since: u64,
}

pub(crate) type Statuses = BTreeMap<String, ServiceStatus>;
