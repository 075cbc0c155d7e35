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

/// Names of a run image that the lifecycle's registry answers for; those of the
/// registries that follow lead nowhere.
const RUN_NAMES: usize = 32;

/// The documents of all images of a build. Layers are fetched when something
/// needs them.
pub(super) struct Images {
    pub(super) builder: Builder,
    pub(super) builder_image: Resolved,
    pub(super) buildpackages: Vec<Buildpackage>,
    pub(super) run_name: ImageRef,
    /// As the builder or the user writes it: the lifecycle compares texts.
    pub(super) run_name_as_written: String,
    pub(super) run_image: Resolved,
}

impl Images {
    /// Finds the images that a request, and the builder in it, name.
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

    /// Names of registries' images that the lifecycle may ask for, beside those
    /// of the build itself.
    pub(super) fn run_names(&self) -> Vec<ImageRef> {
        let mut names = self.builder.names_beside(&self.run_name);
        names.truncate(RUN_NAMES);
        names.push(self.run_name.clone());
        names
    }

    /// Fetches everything that the phases' root file system is made of.
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

    /// Fetches the layers of the run image that are not here, with which the new
    /// image is complete. Without them it still works while its registry can
    /// be reached. Returns the error, if there is one.
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

    /// The directories of the phases' root file system, the uppermost first:
    /// the builder's below those of the buildpacks. What they need beside layers
    /// is made in `scratch`.
    pub(super) fn lowers(&self, store: &Store, scratch: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let packages = self.buildpackages.iter().map(|package| &package.image);
        let images = iter::once(&self.builder_image.image).chain(packages);
        store.stack(images.flat_map(|image| image.config.diff_ids()), scratch)
    }

    /// What the phases may see: the run image and the image of the last build;
    /// and what they may write: the names of this one.
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
                // What an exporter reuses of an image, it does not write again.
                && metadata::is_complete(store, &image)
            {
                scope.read(name, &stored.descriptor, &image);
            }
        }
        Ok(scope)
    }

    /// How a phase gets a layer of the run image that the store lacks.
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

    /// Manifest digests of the buildpacks that are images.
    pub(super) fn buildpackage_digests(&self) -> Vec<Digest> {
        let packages = self.buildpackages.iter();
        packages.map(|package| package.image.digest).collect()
    }

    /// The builder's documents.
    pub(super) fn builder_documents(&self) -> &Image {
        &self.builder_image.image
    }
}
