//! Decides whether the last build is still up to date, and answers with its
//! image.

use protocol::Failure;
use protocol::event::{Built, ImageRole};

use super::{Build, BuildRecord};
use crate::buildpack_build::lifecycle::metadata;
use crate::images::digest::Digest;
use crate::store::StoredImage;

impl Build<'_> {
    /// The record of the last build, if no input has changed and the store has
    /// its image.
    pub(super) fn up_to_date(&self, fingerprint: &Digest) -> Result<Option<BuildRecord>, Failure> {
        let request = &self.resolved.request;
        if request.force || request.clear_cache {
            return Ok(None);
        }
        // A shell needs the layers directory.
        if !self.layout.layers().is_dir() {
            return Ok(None);
        }
        let same = |record: &BuildRecord| record.fingerprint == *fingerprint;
        let Some(record) = BuildRecord::load(self.layout.root()).filter(same) else {
            return Ok(None);
        };
        let images = self.agent.store.images()?;
        let is_it = |image: &StoredImage| image.descriptor.digest == record.image;
        let named = images.iter().any(is_it);
        let store = &self.agent.store;
        let image = store.image(&record.image);
        let here = named && image.is_ok_and(|image| metadata::is_complete(store, &image));
        Ok(here.then_some(record))
    }

    /// Records that the last build was used, sets the references of its image,
    /// and uploads it if the request asks for it.
    pub(super) async fn finish_unchanged(&self, record: &BuildRecord) -> Result<Built, Failure> {
        BuildRecord::touch(self.layout.root()).map_err(|error| {
            self.layout
                .failure("note the use of the last build", &error)
        })?;
        self.name_again(record)?;
        let image = self.agent.store.image(&record.image)?;
        let mut published = Vec::new();
        if self.resolved.request.publish {
            let stored = self.agent.store.find(&self.resolved.name().to_string())?;
            let origin = stored.and_then(|stored| metadata::origin(&stored, &image));
            for name in &self.resolved.names {
                self.registry
                    .push(&self.agent.store, &image, name, origin.as_ref())
                    .await?;
            }
            published = self.familiar_names();
        }
        Ok(self.built(&image, published, true))
    }

    /// Sets the references that an unchanged image lacks.
    fn name_again(&self, record: &BuildRecord) -> Result<(), Failure> {
        let images = self.agent.store.images()?;
        let found = images
            .iter()
            .find(|image| image.descriptor.digest == record.image);
        let Some(descriptor) = found.map(|image| image.descriptor.clone()) else {
            return Ok(());
        };
        let missing = self.resolved.names.iter().filter(|name| {
            let name = name.to_string();
            let has =
                |image: &StoredImage| image.name == name && image.descriptor.digest == record.image;
            !images.iter().any(has)
        });
        let role = ImageRole::Application;
        let new: Vec<StoredImage> = missing
            .map(|name| StoredImage::now(name.to_string(), descriptor.clone(), role))
            .collect();
        if !new.is_empty() {
            self.agent.store.set_images(&new)?;
        }
        Ok(())
    }
}
