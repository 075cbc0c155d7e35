//! Finds and pulls the images of a build: builder, run image, buildpackages.

use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::Failure;
use protocol::event::ImageRole;

use super::resolved_request::ResolvedRequest;
use super::run_image::{ResolvedRunImage, missing};
use crate::buildpack_build::builder::Builder;
use crate::buildpack_build::buildpackage::Buildpackage;
use crate::buildpack_build::lifecycle::metadata;
use crate::buildpack_build::lifecycle_registry::{Fetch, Scope};
use crate::images::digest::Digest;
use crate::images::reference::ImageRef;
use crate::registry::{Registry, RegistryError, Resolved, Want};
use crate::store::{Image, Store, StoreError};

/// The most references of run images for which the lifecycle's registry
/// answers. Further ones resolve to nothing.
const RUN_NAMES: usize = 32;

/// The manifests and configurations of all images of a build. locald fetches
/// layers only when it needs them.
pub(super) struct Images {
    pub(super) builder: Builder,
    pub(super) builder_image: Resolved,
    pub(super) buildpackages: Vec<Buildpackage>,
    pub(super) run_name: ImageRef,
    /// The reference as the builder or the user wrote it, because the lifecycle
    /// compares references as text.
    pub(super) run_name_as_written: String,
    pub(super) run_image: Resolved,
}

impl Images {
    /// Finds the images that the request and its builder name.
    pub(super) async fn find(
        resolved: &ResolvedRequest,
        store: &Store,
        registry: &Registry,
    ) -> Result<Self, Failure> {
        let policy = resolved.request.pull;
        let documents = async |name, role| {
            registry
                .pull(store, name, policy, Want::Documents, role)
                .await
        };
        let name = &resolved.builder;
        let builder_image = documents(name, ImageRole::Builder).await;
        let builder_image = builder_image.map_err(|error| missing("builder", name, error))?;
        let builder = Builder::parse(name, &builder_image.image)?;
        let run = ResolvedRunImage::find(resolved, &builder, store, registry).await?;
        let mut buildpackages = Vec::new();
        for name in &resolved.buildpackages {
            let found = documents(name, ImageRole::Buildpack).await?;
            buildpackages.push(Buildpackage::parse(name, &found.image)?);
        }
        Ok(Self {
            builder,
            builder_image,
            buildpackages,
            run_name: run.name,
            run_name_as_written: run.as_written,
            run_image: run.image,
        })
    }

    /// References of run images that the lifecycle may request, in addition to
    /// the images of the build.
    pub(super) fn run_names(&self) -> Vec<ImageRef> {
        let mut names = self.builder.names_beside(&self.run_name);
        names.truncate(RUN_NAMES);
        names.push(self.run_name.clone());
        names
    }

    /// Fetches the layers of the phases' root file system.
    pub(super) async fn fetch_layers(
        &self,
        resolved: &ResolvedRequest,
        store: &Store,
        registry: &Registry,
    ) -> Result<(), Failure> {
        let builder = (&resolved.builder, &self.builder_image.image);
        let packages = self.buildpackages.iter();
        let packages = packages.map(|package| (&package.name, &package.image));
        for (name, image) in [builder].into_iter().chain(packages) {
            registry.fetch_layers(store, name, image).await?;
        }
        Ok(())
    }

    /// Fetches the layers of the run image that the store lacks, so that the
    /// new image is complete. Without them the image works only while the
    /// registry of its run image is reachable. Returns the error, if there is
    /// one.
    pub(super) async fn complete(
        &self,
        store: &Store,
        registry: &Registry,
    ) -> Result<(), RegistryError> {
        for layer in &self.run_image.image.manifest.layers {
            registry.fetch_blob(store, &self.run_name, layer).await?;
        }
        Ok(())
    }

    /// The lower directories of the phases' root file system, the uppermost
    /// first. The layers of the buildpacks are above those of the builder.
    /// Makes additional directories in `scratch`.
    pub(super) fn lowers(&self, store: &Store, scratch: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let packages = self.buildpackages.iter().map(|package| &package.image);
        let images = iter::once(&self.builder_image.image).chain(packages);
        store.stack(images.flat_map(|image| image.config.diff_ids()), scratch)
    }

    /// The access of the phases. They may read the run image and the image of
    /// the last build, and may write the references of this build.
    pub(super) fn scope(
        &self,
        resolved: &ResolvedRequest,
        store: &Store,
    ) -> Result<Scope, Failure> {
        let mut scope = Scope::default();
        let run = &self.run_image;
        scope.read(&self.run_name, &run.stored.descriptor, &run.image);
        for name in &resolved.names {
            scope.write(name);
            if let Some(stored) = store.find(&name.to_string())?
                && let Ok(image) = store.image(&stored.descriptor.digest)
                // The exporter does not write a layer that it reuses, so all
                // must be here.
                && metadata::is_complete(store, &image)
            {
                scope.read(name, &stored.descriptor, &image);
            }
        }
        Ok(scope)
    }

    /// A callback that fetches a layer of the run image for a phase.
    pub(super) fn fetch(&self, store: &Store, registry: &Registry) -> Fetch {
        let (registry, store) = (registry.clone(), store.clone());
        let (name, image) = (self.run_name.clone(), Arc::clone(&self.run_image.image));
        Arc::new(move |digest| {
            let (registry, store) = (registry.clone(), store.clone());
            let (name, image) = (name.clone(), Arc::clone(&image));
            Box::pin(async move {
                let mut layers = image.manifest.layers.iter();
                let layer = layers.find(|layer| layer.digest == digest);
                let layer = layer.ok_or_else(|| format!("{digest} cannot be fetched"))?;
                let fetched = registry.fetch_blob(&store, &name, layer).await;
                fetched.map_err(|error| error.to_string())
            })
        })
    }

    /// Manifest digests of the images that contain buildpacks.
    pub(super) fn buildpackage_digests(&self) -> Vec<Digest> {
        let packages = self.buildpackages.iter();
        packages.map(|package| package.image.digest).collect()
    }

    /// The manifest and the configuration of the builder.
    pub(super) fn builder_documents(&self) -> &Image {
        &self.builder_image.image
    }
}
