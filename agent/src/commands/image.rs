//! Serves the requests about stored images: list, inspect, tag, remove, export,
//! pull, push.

mod export;

use bytes::Bytes;
use protocol::event::{ImageRole, ImageSummary};
use protocol::request::{PullPolicy, RegistryAccess};
use protocol::{Channel, DATA_CAP, Event, Failure, FailureKind, Reply};

pub use export::export;

use crate::Agent;
use crate::buildpack_build::lifecycle::metadata;
use crate::images::reference::{ImageRef, familiar};
use crate::registry::{Registry, Want};
use crate::request::store_use;
use crate::request::stream::{HostGone, RequestStream};
use crate::store::{Image, Store, StoreError, StoredImage, UseKind};

/// Lists the references. Sends one event for each.
pub async fn list(store: &Store, stream: &RequestStream) -> Result<Reply, Failure> {
    for stored in store.images()? {
        let size = match store.image(&stored.descriptor.digest) {
            Ok(image) => image.size(),
            // Another request has removed it meanwhile.
            Err(_) if store.find(&stored.name)?.is_none() => continue,
            // Reports a damaged image, and lists the others.
            Err(error) => {
                let name = familiar(&stored.name);
                store_use::warn(stream, &format!("{name} cannot be read"), error).await?;
                0
            }
        };
        let summary = ImageSummary {
            name: familiar(&stored.name),
            digest: stored.descriptor.digest.to_string(),
            size,
            updated: stored.updated,
            role: stored.role,
        };
        stream.event(Event::Image(summary)).await?;
    }
    Ok(Reply::Nothing)
}

/// Sends the manifest and the configuration, unchanged.
pub async fn inspect(store: &Store, stream: &RequestStream, name: &str) -> Result<Reply, Failure> {
    let (_, image) = load(store, name)?;
    document(stream, "manifest", image.manifest_bytes).await?;
    document(stream, "config", image.config_bytes).await?;
    Ok(Reply::Digest(image.digest.to_string()))
}

/// Sets a further reference for an image.
pub async fn tag(
    store: &Store,
    stream: &RequestStream,
    image: &str,
    name: &str,
) -> Result<Reply, Failure> {
    // Prevents a sweep of the image before it has its new reference.
    let _use_lock = store_use::in_use(store, UseKind::Work, stream).await?;
    let name: ImageRef = name.parse()?;
    if name.digest().is_some() {
        let message = format!(
            "{} is a digest, and cannot be given as a name",
            name.familiar()
        );
        return Err(Failure::new(FailureKind::Invalid, message));
    }
    let (stored, _) = load(store, image)?;
    let digest = stored.descriptor.digest.to_string();
    let role = match stored.role {
        ImageRole::Application => ImageRole::Application,
        _ => ImageRole::Other,
    };
    let tagged = StoredImage::now(name.to_string(), stored.descriptor, role);
    store.set_images(&[tagged])?;
    Ok(Reply::Digest(digest))
}

/// Removes references, and the content that no other reference needs.
pub async fn remove(
    store: &Store,
    stream: &RequestStream,
    images: &[String],
) -> Result<Reply, Failure> {
    let mut names = Vec::new();
    for image in images {
        names.push(find(store, image)?.name);
    }
    let removed = store.remove_images(&names)?;
    let freed = match store.collect_garbage() {
        Err(error @ StoreError::UnknownNeeds { .. }) => {
            store_use::warn(stream, "the names are gone", error).await?;
            0
        }
        freed => freed?.unwrap_or(0),
    };
    let names = removed.iter().map(|name| familiar(name)).collect();
    Ok(Reply::Removed { names, freed })
}

/// Pulls an image, and extracts its layers.
pub async fn pull(
    agent: &Agent,
    stream: RequestStream,
    name: &str,
    policy: PullPolicy,
    access: RegistryAccess,
) -> Result<Reply, Failure> {
    let _use_lock = store_use::in_use(&agent.store, UseKind::Work, &stream).await?;
    let name: ImageRef = name.parse()?;
    let registry = Registry::new(access, stream);
    let role = ImageRole::Other;
    let resolved = registry
        .pull(&agent.store, &name, policy, Want::Layers, role)
        .await?;
    Ok(Reply::Digest(resolved.image.digest.to_string()))
}

/// Pushes a stored image under a reference.
pub async fn push(
    agent: &Agent,
    stream: RequestStream,
    image: &str,
    target: &str,
    access: RegistryAccess,
) -> Result<Reply, Failure> {
    let _use_lock = store_use::in_use(&agent.store, UseKind::Work, &stream).await?;
    let target: ImageRef = target.parse()?;
    let (stored, image) = load(&agent.store, image)?;
    let registry = Registry::new(access, stream);
    let origin = metadata::origin(&stored, &image);
    registry
        .push(&agent.store, &image, &target, origin.as_ref())
        .await?;
    Ok(Reply::Digest(image.digest.to_string()))
}

/// Finds an image by reference or digest. Returns its reference and its
/// documents.
pub fn load(store: &Store, name: &str) -> Result<(StoredImage, Image), Failure> {
    let stored = find(store, name)?;
    let image = store.image(&stored.descriptor.digest)?;
    Ok((stored, image))
}

fn find(store: &Store, name: &str) -> Result<StoredImage, Failure> {
    // A text that looks like a digest may be a name. Then the name takes
    // precedence.
    if let Ok(reference) = name.parse::<ImageRef>()
        && let Some(stored) = store.find(&reference.to_string())?
    {
        return Ok(stored);
    }
    let found = store.find(name)?;
    found.ok_or_else(|| {
        Failure::new(FailureKind::NotFound, format!("there is no image {name:?} in the store"))
            .with_hint("`locald image ls` lists the images; `locald build` makes one, `locald pull` fetches one")
    })
}

async fn document(stream: &RequestStream, name: &str, bytes: Vec<u8>) -> Result<(), HostGone> {
    let event = Event::Document {
        name: name.to_owned(),
        size: bytes.len() as u64,
    };
    stream.event(event).await?;
    let bytes = Bytes::from(bytes);
    for start in (0..bytes.len()).step_by(DATA_CAP) {
        let end = bytes.len().min(start + DATA_CAP);
        stream.data(Channel::Bulk, bytes.slice(start..end)).await?;
    }
    Ok(())
}
