//! Pulls from and pushes to OCI registries: OCI distribution specification 1.1.
//!
//! locald implements the transfers itself. The client of `oci-client` limits
//! neither the size of a manifest nor the number of attempts, and hides
//! `Retry-After`. It follows the `urls` of layers, and sends an account to any
//! token server that a registry names.

pub(crate) mod address;
mod challenge;
mod client;
mod documents;
mod download;
mod error;
mod exchange;
mod http;
mod index;
mod layers;
mod origin;
mod platform;
mod publication;
mod pull;
mod push;
mod refusal;
mod registry_host;
mod request;
mod server;
mod timeout;
mod upload;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::request::RegistryAccess;
use tokio::sync::Mutex;

pub use error::RegistryError;
pub use publication::Publication;
pub use pull::{Resolved, Want};
pub use server::Server;
pub use timeout::TransportError;
#[cfg(feature = "fuzzing")]
pub(crate) use {challenge::realm, index::reads_index};

use crate::images::reference::ImageRef;
use crate::request::stream::RequestStream;
use client::RegistryClient;

/// The registries that one request uses; cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    access: Arc<RegistryAccess>,
    idle: Duration,
    stream: RequestStream,
    clients: Arc<Mutex<HashMap<String, Arc<RegistryClient>>>>,
}

impl Registry {
    /// Opens no connection until the first request to a registry.
    pub fn new(access: RegistryAccess, stream: RequestStream) -> Self {
        Self {
            access: Arc::new(access),
            idle: client::IDLE,
            stream,
            clients: Arc::default(),
        }
    }

    /// Sets how long a connection may be silent. The default is one minute.
    #[must_use]
    pub fn with_idle(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }

    /// The stream that receives warnings.
    pub(crate) fn stream(&self) -> &RequestStream {
        &self.stream
    }

    async fn client(&self, image: &ImageRef) -> Result<Arc<RegistryClient>, RegistryError> {
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(image.registry()) {
            return Ok(Arc::clone(client));
        }
        let client = RegistryClient::new(
            image.registry(),
            &self.access,
            self.idle,
            self.stream.clone(),
        )?;
        let client = Arc::new(client);
        clients.insert(image.registry().to_owned(), Arc::clone(&client));
        Ok(client)
    }
}
