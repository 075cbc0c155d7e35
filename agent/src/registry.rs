//! A client of OCI registries: OCI distribution specification 1.1.
//!
//! `oci-client` names images and trades credentials for tokens. The transfers
//! are our own, because it bounds neither a manifest's size nor the number of
//! attempts, hides `Retry-After`, and follows the `urls` of layers.

mod auth;
mod download;
mod error;
mod publication;
mod pull;
mod push;
pub(crate) mod remote;

use std::collections::HashMap;
use std::sync::Arc;

use protocol::request::RegistryAccess;
use tokio::sync::Mutex;

pub use error::RegistryError;
pub use publication::Publication;
pub use pull::{Resolved, Want};
#[cfg(feature = "fuzzing")]
pub(crate) use {auth::realm, pull::reads_index};

use crate::dialogue::Dialogue;
use crate::reference::ImageRef;
use remote::Remote;

/// The registries that one request speaks to; cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    access: Arc<RegistryAccess>,
    dialogue: Dialogue,
    remotes: Arc<Mutex<HashMap<String, Arc<Remote>>>>,
}

impl Registry {
    /// Nothing is asked before it is needed.
    pub fn new(access: RegistryAccess, dialogue: Dialogue) -> Self {
        Self {
            access: Arc::new(access),
            dialogue,
            remotes: Arc::default(),
        }
    }

    async fn remote(&self, image: &ImageRef) -> Result<Arc<Remote>, RegistryError> {
        let mut remotes = self.remotes.lock().await;
        if let Some(remote) = remotes.get(image.registry()) {
            return Ok(Arc::clone(remote));
        }
        let remote = Remote::new(image.registry(), &self.access, self.dialogue.clone())?;
        let remote = Arc::new(remote);
        remotes.insert(image.registry().to_owned(), Arc::clone(&remote));
        Ok(remote)
    }
}
