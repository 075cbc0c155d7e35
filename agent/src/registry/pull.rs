//! Pulls an image into the store.

use std::sync::Arc;

use protocol::event::ImageRole;
use protocol::request::PullPolicy;

use super::index::check_platform;
use super::{Registry, RegistryError};
use crate::images::reference::ImageRef;
use crate::store::{Image, Store, StoredImage, seconds_since_epoch};

/// Seconds after which [`PullPolicy::Daily`] asks the registry again.
const FRESH: u64 = 24 * 60 * 60;
/// The parts of an image that a pull fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Manifest and configuration.
    Documents,
    /// The documents and the extracted layers.
    Layers,
}

/// A stored image and its documents.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The reference in the store.
    pub stored: StoredImage,
    /// The documents.
    pub image: Arc<Image>,
}

impl Registry {
    /// Pulls the wanted parts of an image that the store lacks, and sets its
    /// reference.
    ///
    /// `policy` decides whether locald asks the registry for a reference that
    /// the store has. A reference with a digest needs no second request. If the
    /// registry does not answer, locald warns and uses the stored image. `role`
    /// applies to a new image only. With [`Want::Layers`], locald verifies the
    /// digest and the diffID of each layer, and the layers are visible at the
    /// end. The stream reports progress, and asks the host for a credential if
    /// the registry demands one.
    ///
    /// OCI distribution specification, "Pull".
    ///
    /// # Errors
    ///
    /// [`RegistryError::NotStored`] with [`PullPolicy::Never`];
    /// [`RegistryError::NotFound`], [`RegistryError::Unauthorized`] and
    /// [`RegistryError::Status`] as the registry answers;
    /// [`RegistryError::Unreachable`] without an answer; and errors for content
    /// that is damaged, too large, or for another platform.
    #[tracing::instrument(skip_all, fields(%name))]
    pub async fn pull(
        &self,
        store: &Store,
        name: &ImageRef,
        policy: PullPolicy,
        want: Want,
        role: ImageRole,
    ) -> Result<Resolved, RegistryError> {
        let stored = store.find(&name.to_string())?;
        let resolved = self.resolve(store, name, policy, role, stored).await?;
        let image = &resolved.image;
        check_platform(name, image)?;
        if want == Want::Layers {
            self.fetch_layers(store, name, image).await?;
        }
        Ok(resolved)
    }

    /// The documents of an image, from the store or from the registry.
    async fn resolve(
        &self,
        store: &Store,
        name: &ImageRef,
        policy: PullPolicy,
        role: ImageRole,
        stored: Option<StoredImage>,
    ) -> Result<Resolved, RegistryError> {
        let documents = |stored: StoredImage| -> Result<Resolved, RegistryError> {
            let image = Arc::new(store.image(&stored.descriptor.digest)?);
            Ok(Resolved { stored, image })
        };
        match stored {
            Some(stored)
                if is_fresh(&stored, name, policy)
                    && (policy == PullPolicy::Never
                        || stored.role == ImageRole::Application
                        || store.image(&stored.descriptor.digest).is_ok()) =>
            {
                documents(stored)
            }
            None if policy == PullPolicy::Never => Err(RegistryError::NotStored(name.familiar())),
            stored => match self
                .fetch_documents(store, name, role, stored.as_ref())
                .await
            {
                Err(error) if error.is_unreachable() => {
                    let Some(stored) = stored else {
                        return Err(error);
                    };
                    let message = format!("{error}: the stored {} is used", name.familiar());
                    self.stream.warn(message, None).await?;
                    documents(stored)
                }
                fetched => fetched,
            },
        }
    }
}

fn is_fresh(stored: &StoredImage, name: &ImageRef, policy: PullPolicy) -> bool {
    match policy {
        // A digest always names the same image.
        _ if name.digest().is_some() => true,
        PullPolicy::Always => false,
        PullPolicy::Daily => seconds_since_epoch().saturating_sub(stored.checked) < FRESH,
        PullPolicy::IfNotPresent | PullPolicy::Never => true,
    }
}
