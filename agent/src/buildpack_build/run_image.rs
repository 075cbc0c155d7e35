//! Finds the run image. The builder lists mirrors, and locald uses the first
//! one that it can read.

use protocol::event::ImageRole;
use protocol::{Failure, FailureKind};

use super::resolved_request::ResolvedRequest;
use crate::buildpack_build::builder::{Builder, BuilderError};
use crate::images::reference::ImageRef;
use crate::registry::{Registry, RegistryError, Resolved, Want};
use crate::store::Store;

/// The run image of a build.
pub(super) struct ResolvedRunImage {
    pub(super) name: ImageRef,
    /// The reference as the builder or the user wrote it.
    pub(super) as_written: String,
    pub(super) image: Resolved,
}

impl ResolvedRunImage {
    /// Finds the first run image that can be read. The choice is final: the
    /// lifecycle's registry refuses access to all others.
    pub(super) async fn find(
        resolved: &ResolvedRequest,
        builder: &Builder,
        store: &Store,
        registry: &Registry,
    ) -> Result<Self, Failure> {
        let mut refused: Option<(ImageRef, RegistryError)> = None;
        for as_written in names(resolved, builder) {
            let name: ImageRef = as_written.parse()?;
            let (policy, role) = (resolved.request.pull, ImageRole::RunImage);
            let pulled = registry.pull(store, &name, policy, Want::Documents, role);
            match pulled.await {
                Ok(image) => {
                    if let Some((_, error)) = refused {
                        let message = format!("{error}: the run image {} is used", name.familiar());
                        registry.stream().warn(message, None).await?;
                    }
                    return Ok(Self {
                        name,
                        as_written: as_written.to_owned(),
                        image,
                    });
                }
                Err(error) if error.is_unreadable() => {
                    refused = refused.or(Some((name, error)));
                }
                Err(error) => return Err(missing("run image", &name, error)),
            }
        }
        Err(match refused {
            Some((name, error)) => missing("run image", &name, error),
            None => no_run_image(resolved),
        })
    }
}

/// The references of the user's choice, or those of the builder.
fn names<'a>(resolved: &'a ResolvedRequest, builder: &'a Builder) -> Vec<&'a str> {
    match &resolved.request.run_image {
        Some(name) => vec![name.as_str()],
        None => builder.run_image(resolved.name().registry()),
    }
}

fn no_run_image(resolved: &ResolvedRequest) -> Failure {
    let unusable = BuilderError::Unusable {
        image: resolved.builder.familiar(),
        reason: "it names no run image (give one with --run-image)".to_owned(),
    };
    unusable.into()
}

/// The failure for an image that a registry does not provide. Keeps only the
/// last cause of an error, because those in between do not help the user.
pub(super) fn missing(what: &str, name: &ImageRef, error: RegistryError) -> Failure {
    let mut failure = Failure::from(error);
    if failure.kind == FailureKind::Registry {
        let causes = failure
            .causes
            .split_off(failure.causes.len().saturating_sub(1));
        failure.causes = causes;
    }
    failure.message = format!(
        "the {what} {} cannot be pulled: {}",
        name.familiar(),
        failure.message
    );
    failure
}
