//! Fetches the documents of an image: its manifest and configuration.

use std::sync::Arc;

use protocol::event::ImageRole;
use reqwest::Method;
use reqwest::header::ACCEPT;

use super::client::RegistryClient;
use super::index::{IMAGE_TYPES, INDEX_TYPES, check_platform, choose, is_index};
use super::request::{Operation, RegistryRequest, Target};
use super::{Registry, RegistryError, Resolved};
use crate::crash::{self, Point};
use crate::images::digest::Digest;
use crate::images::reference::ImageRef;
use crate::store::{DOCUMENT_CAP, Descriptor, Image, Manifest, Store, StoreError, StoredImage};

/// The most levels of nested indexes.
const NESTED: usize = 3;

impl Registry {
    pub(super) async fn fetch_documents(
        &self,
        store: &Store,
        name: &ImageRef,
        role: ImageRole,
        stored: Option<&StoredImage>,
    ) -> Result<Resolved, RegistryError> {
        let client = self.client(name).await?;
        let what = format!("image {}", name.familiar());
        let (mut descriptor, mut bytes) = manifest(&client, name, &name.version(), &what).await?;
        for _ in 0..NESTED {
            if !is_index(&descriptor, &bytes) {
                break;
            }
            let digest = choose(name, &client, &bytes)?.digest;
            (descriptor, bytes) = manifest(&client, name, &digest.to_string(), &what).await?;
        }
        let content = |source| RegistryError::Content {
            what: what.clone(),
            source,
        };
        let parsed = Manifest::parse(&descriptor.digest, &bytes).map_err(content)?;
        let config = match store.read_blob(&parsed.config.digest, DOCUMENT_CAP) {
            Ok(config) => config,
            Err(_) => self.fetch_small(&client, name, &parsed.config).await?,
        };
        let image = Image::new(descriptor.digest, bytes, config).map_err(content)?;
        check_platform(name, &image)?;
        store.write_blob(&image.manifest_bytes)?;
        store.write_blob(&image.config_bytes)?;
        crash::at(Point::DocumentsStored);
        let mut new = StoredImage::now(name.to_string(), descriptor, role);
        if let Some(old) = stored {
            // The role records why the image was first stored.
            new.role = old.role;
            if old.descriptor == new.descriptor {
                new.updated = old.updated;
            }
        }
        store.set_images(std::slice::from_ref(&new))?;
        crash::at(Point::PulledNameSet);
        Ok(Resolved {
            stored: new,
            image: Arc::new(image),
        })
    }

    /// Fetches the documents of an image again, if its reference is in the
    /// store and its documents are lost or damaged.
    pub async fn replace_documents(
        &self,
        store: &Store,
        name: &ImageRef,
        digest: &Digest,
    ) -> Result<(), RegistryError> {
        let client = self.client(name).await?;
        let what = format!("image {}", name.familiar());
        let (_, bytes) = manifest(&client, name, &digest.to_string(), &what).await?;
        let parsed = Manifest::parse(digest, &bytes)
            .map_err(|source| RegistryError::Content { what, source })?;
        let config = self.fetch_small(&client, name, &parsed.config).await?;
        store.write_blob(&bytes)?;
        store.write_blob(&config)?;
        Ok(())
    }

    async fn fetch_small(
        &self,
        client: &RegistryClient,
        name: &ImageRef,
        blob: &Descriptor,
    ) -> Result<Vec<u8>, RegistryError> {
        let what = format!("the configuration of {}", name.familiar());
        if blob.size > DOCUMENT_CAP {
            return Err(client.protocol_error(&what, "a configuration of more than 4 MiB"));
        }
        let request = RegistryRequest {
            method: Method::GET,
            target: Target::Path(&format!("blobs/{}", blob.digest)),
            repository: name.repository(),
            operation: Operation::Pull,
            what: &what,
            sent: None,
        };
        let response = client.send(&request, |request| request).await?;
        let bytes = client.body(response, &what).await?;
        let actual = Digest::of(&bytes);
        if actual != blob.digest {
            let expected = blob.digest;
            let source = StoreError::Mismatch { expected, actual };
            return Err(RegistryError::Content { what, source });
        }
        Ok(bytes)
    }
}

async fn manifest(
    client: &RegistryClient,
    name: &ImageRef,
    version: &str,
    what: &str,
) -> Result<(Descriptor, Vec<u8>), RegistryError> {
    let request = RegistryRequest {
        method: Method::GET,
        target: Target::Path(&format!("manifests/{version}")),
        repository: name.repository(),
        operation: Operation::Pull,
        what,
        sent: None,
    };
    let accepted = [INDEX_TYPES, IMAGE_TYPES].concat().join(", ");
    let accept = |request: reqwest::RequestBuilder| request.header(ACCEPT, &accepted);
    let response = client.send(&request, accept).await?;
    let media_type = response
        .headers()
        .get(reqwest::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or(value).trim().to_owned())
        .unwrap_or_default();
    let bytes = client.body(response, what).await?;
    let digest = Digest::of(&bytes);
    if let Ok(expected) = version.parse::<Digest>()
        && expected != digest
    {
        let source = StoreError::Mismatch {
            expected,
            actual: digest,
        };
        let what = what.to_owned();
        return Err(RegistryError::Content { what, source });
    }
    let size = bytes.len() as u64;
    let descriptor = Descriptor {
        media_type,
        digest,
        size,
    };
    Ok((descriptor, bytes))
}
