//! The states of the services that `locald up` runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ServiceState {
    /// For its image, or for what it depends on.
    Waiting,
    /// Its process runs, and is not healthy yet.
    Starting,
    Healthy,
    /// It has crashed, and rests before it starts again.
    Resting,
    /// By itself, with this exit code.
    Ended(u8),
    Stopping,
    /// Because somebody wanted so.
    Stopped,
}

impl ServiceState {
    /// One word.
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

    /// Whether others may rely on it. A job that has ended well has done what
    /// they wait for.
    pub(crate) const fn is_ready(self) -> bool {
        matches!(self, Self::Healthy | Self::Ended(0))
    }

    /// Whether nothing more comes of it by itself.
    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::Ended(_) | Self::Stopped)
    }
}

/// A service as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServiceStatus {
    pub(crate) state: ServiceState,
    pub(crate) port: Option<u16>,
    /// How often it was started again after a crash.
    pub(crate) restarts: u32,
    /// Seconds since the epoch when its state became this one.
    pub(crate) since: u64,
}

pub(crate) type Statuses = BTreeMap<String, ServiceStatus>;
