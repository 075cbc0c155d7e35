//! Keeps files from one build to the next: toolchains, downloaded sources, and
//! Cargo's target directory.
//!
//! A platform with `<platform>/cache`, such as locald, keeps that directory
//! unchanged; see docs/build-cache.md. On other platforms the cache is a cached
//! layer, whose files lose their times. The module `times` saves and restores
//! them.

use std::path::{Path, PathBuf};

use libcnb::build::BuildContext;
use libcnb::data::layer_name;
use libcnb::layer::{CachedLayerDefinition, InvalidMetadataAction, RestoredLayerAction};

use crate::buildpack::RustBuildpack;
use crate::error::BuildError;
use crate::times;

/// The name of this buildpack's directory in the platform's cache.
const NAME: &str = "locald_rust";

/// A directory that outlives the build.
#[derive(Debug)]
pub(crate) struct Cache {
    root: PathBuf,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Platform,
    Layer,
}

impl Cache {
    /// Opens the platform's directory, else a cached layer.
    pub(crate) fn open(context: &BuildContext<RustBuildpack>) -> libcnb::Result<Self, BuildError> {
        let platform = context.platform.directory().join("cache");
        let own = platform.join(NAME);
        if platform.is_dir() && fs_err::create_dir_all(&own).is_ok() {
            return Ok(Self {
                root: own,
                kind: Kind::Platform,
            });
        }
        let definition = CachedLayerDefinition {
            build: false,
            launch: false,
            invalid_metadata_action: &|_| InvalidMetadataAction::DeleteLayer,
            restored_layer_action: &|_: &libcnb::generic::GenericMetadata, _| {
                RestoredLayerAction::KeepLayer
            },
        };
        let layer = context.cached_layer(layer_name!("cache"), definition)?;
        let cache = Self {
            root: layer.path(),
            kind: Kind::Layer,
        };
        times::restore(&cache.root, &context.app_dir)
            .map_err(BuildError::io("read the times in", &cache.root))?;
        Ok(cache)
    }

    /// Whether the platform keeps the directory.
    pub(crate) fn is_of_platform(&self) -> bool {
        self.kind == Kind::Platform
    }

    /// The path of a file or directory in the cache.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The path of a directory in the cache. Makes it if it is missing.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf, BuildError> {
        let path = self.path(name);
        fs_err::create_dir_all(&path).map_err(BuildError::io("make", &path))?;
        Ok(path)
    }

    /// Saves the times of files. Call it after all writes to the cache, and
    /// before the source is removed.
    pub(crate) fn finish(&self, app: &Path) -> Result<(), BuildError> {
        if self.is_of_platform() {
            return Ok(());
        }
        times::save(&self.root, app).map_err(BuildError::io("write the times in", &self.root))
    }
}
