//! Runs credential helpers outside the agent's namespaces.
//!
//! On Linux this process enters a user namespace. There a helper fails if it
//! uses D-Bus to reach a keyring, or looks its uid up. So if a configuration
//! names a helper, locald starts a child process *before* it enters the
//! namespace. The child runs helpers on request, and ends with its parent.

use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::credential::{HelperAnswer, HelperError};

#[cfg(target_os = "linux")]
mod child;
#[cfg(not(target_os = "linux"))]
#[path = "helper_process/direct.rs"]
mod child;

use child::Child;
pub(crate) use child::dispatch;

/// A handle of the process that runs helpers.
#[derive(Debug, Clone, Default)]
pub(crate) struct HelperProcess {
    child: Option<Arc<Child>>,
}

/// A request to run a helper for a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct HelperRequest {
    helper: String,
    server: String,
}

impl HelperProcess {
    /// Starts the child. Call it before any thread starts and before a
    /// namespace is entered.
    pub(crate) fn start() -> io::Result<Self> {
        let child = Some(Arc::new(Child::start()?));
        Ok(Self { child })
    }

    /// Runs `docker-credential-HELPER get`.
    pub(crate) async fn ask(
        &self,
        helper: &str,
        server: &str,
    ) -> Result<HelperAnswer, HelperError> {
        let unusable = |reason: String| HelperError::Unusable {
            program: format!("docker-credential-{helper}"),
            reason,
        };
        let Some(child) = self.child.clone() else {
            return Err(unusable("the helper process was not started".to_owned()));
        };
        let request = HelperRequest {
            helper: helper.to_owned(),
            server: server.to_owned(),
        };
        tokio::task::spawn_blocking(move || child.ask(&request))
            .await
            .map_err(|error| unusable(error.to_string()))?
    }
}
