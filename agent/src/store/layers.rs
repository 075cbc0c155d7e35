//! Extracted layers: one tree for each diffID, shared by all images.

use std::io::Read;
use std::path::PathBuf;

use super::{Lock, Store, StoreError};
use crate::crash::{self, Point};
use crate::digest::DiffId;
use crate::layer::{self, Compression, LayerError};

impl Store {
    /// The root of a layer's tree.
    pub fn layer_path(&self, diff_id: &DiffId) -> PathBuf {
        self.root().join("layers").join(diff_id.0.hex())
    }

    /// Whether a layer is extracted.
    pub fn has_layer(&self, diff_id: &DiffId) -> bool {
        self.layer_path(diff_id).is_dir()
    }

    /// Extracts a layer, unless it is there. Blocks the thread; when another
    /// thread or process extracts the same layer, waits for it.
    pub fn extract_layer(
        &self,
        diff_id: &DiffId,
        compression: Compression,
        archive: impl Read + Send,
    ) -> Result<(), LayerError> {
        let _lock = Lock::exclusive(&self.lock_path(&format!("layer-{}.lock", diff_id.0.hex())))?;
        if self.has_layer(diff_id) {
            return Ok(());
        }
        let temporary = self.temporary()?;
        let root = temporary.path().join("root");
        let actual = layer::extract(archive, compression, &root)?;
        if actual != *diff_id {
            let expected = *diff_id;
            return Err(LayerError::Mismatch { expected, actual });
        }
        self.note_tree(diff_id, &root)?;
        crash::at(Point::LayerExtracted);
        let path = self.layer_path(diff_id);
        fs_err::rename(&root, &path).map_err(|source| StoreError::io("publish", &path, source))?;
        crash::at(Point::LayerVisible);
        Ok(())
    }

    /// Extracts a layer whose blob is here, unless it is extracted.
    pub fn extract_blob(
        &self,
        blob: &super::Descriptor,
        diff_id: &DiffId,
    ) -> Result<(), LayerError> {
        if self.has_layer(diff_id) {
            return Ok(());
        }
        let archive = self.open_blob(&blob.digest)?;
        let compression = Compression::of_media_type(&blob.media_type).unwrap_or(Compression::Gzip);
        self.extract_layer(diff_id, compression, archive)
    }
}
