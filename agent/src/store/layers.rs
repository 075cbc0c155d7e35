//! Keeps extracted layers: one tree for each diffID, which all images share.
//!
//! A tree gets its final name only when it is on the disk. One sync for each
//! tree would make a pull several times slower. So trees wait beside their
//! places, under a name with the id of this boot, until one sync has served all
//! that wait. A power cut may tear a waiting tree. After the next boot no
//! process takes it for a layer, and garbage collection removes it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Lock, Store, StoreError};
use crate::crash::{self, Point};
use crate::images::digest::{DiffId, Hasher};
use crate::store::boot_id;
use crate::store::layer::{self, Compression, LayerError};

impl Store {
    /// The root of a layer's tree.
    pub fn layer_path(&self, diff_id: &DiffId) -> PathBuf {
        self.root().join("layers").join(diff_id.0.hex())
    }

    /// Whether a layer is extracted and on the disk.
    pub fn has_layer(&self, diff_id: &DiffId) -> bool {
        self.layer_path(diff_id).is_dir()
    }

    /// Extracts a layer, unless the store has it: OCI image specification,
    /// "Image Layer Filesystem Changeset".
    ///
    /// `archive` is the layer as a registry has it, compressed by
    /// `compression`; `diff_id` is the digest of the archive without
    /// compression; `hasher` computes it, and is a new one except where
    /// [`Hasher::beside`] saves time. Blocks the thread; if another thread or
    /// process extracts the same layer, waits for that. Other requests see the
    /// layer after [`publish_layers`](Self::publish_layers).
    ///
    /// # Errors
    ///
    /// [`LayerError::Mismatch`] if the archive has another diffID;
    /// [`LayerError::Archive`], [`LayerError::Refused`] and
    /// [`LayerError::Quota`] for damaged, dangerous and huge archives;
    /// [`LayerError::Write`], [`LayerError::Attribute`] and
    /// [`LayerError::Store`] if the file system refuses. Nothing of the layer
    /// is left then.
    pub fn extract_layer(
        &self,
        diff_id: &DiffId,
        compression: Compression,
        archive: impl BufRead + Send,
        hasher: Hasher,
    ) -> Result<(), LayerError> {
        let _lock = Lock::exclusive(&self.lock_path(&format!("layer-{}.lock", diff_id.0.hex())))?;
        if self.is_extracted(diff_id)? {
            return Ok(());
        }
        let temporary = self.temporary()?;
        let root = temporary.path().join("root");
        let extracted = layer::extract(archive, compression, &root, hasher)?;
        if extracted.diff_id != *diff_id {
            let (expected, actual) = (*diff_id, extracted.diff_id);
            return Err(LayerError::Mismatch { expected, actual });
        }
        self.note_tree(diff_id, &root, &extracted.implied)?;
        crash::at(Point::LayerExtracted);
        let path = self.waiting_path(diff_id)?;
        fs_err::rename(&root, &path).map_err(|source| StoreError::io("keep", &path, source).into())
    }

    /// Extracts a layer whose blob is here, unless it is extracted.
    pub fn extract_blob(
        &self,
        blob: &super::Descriptor,
        diff_id: &DiffId,
    ) -> Result<(), LayerError> {
        if self.is_extracted(diff_id)? {
            return Ok(());
        }
        let archive = BufReader::with_capacity(layer::BUFFER, self.open_blob(&blob.digest)?);
        let (compression, archive) =
            Compression::of_archive(archive).map_err(LayerError::Archive)?;
        self.extract_layer(diff_id, compression, archive, Hasher::new())
    }

    /// Extracts a layer again from its blob, to replace a tree that has
    /// changed. The old tree stays in place until the new one is complete.
    pub fn extract_again(
        &self,
        blob: &super::Descriptor,
        diff_id: &DiffId,
    ) -> Result<(), LayerError> {
        let archive = BufReader::with_capacity(layer::BUFFER, self.open_blob(&blob.digest)?);
        let compression = Compression::of_media_type(&blob.media_type).unwrap_or(Compression::Gzip);
        let temporary = self.temporary()?;
        let (root, path) = (temporary.path().join("root"), self.layer_path(diff_id));
        let extracted = layer::extract(archive, compression, &root, Hasher::new())?;
        if extracted.diff_id != *diff_id {
            let (expected, actual) = (*diff_id, extracted.diff_id);
            return Err(LayerError::Mismatch { expected, actual });
        }
        self.note_tree(diff_id, &root, &extracted.implied)?;
        self.sync()?;
        renameat_with(CWD, &root, CWD, &path, RenameFlags::EXCHANGE)
            .map_err(|errno| StoreError::io("replace", &path, errno.into()))?;
        crash::at(Point::LayerReplaced);
        Ok(())
    }

    /// Makes extracted layers visible, after one sync for all of them. A layer
    /// that is visible already is ignored.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if a layer was not extracted during this boot, or the
    /// file system fails.
    pub fn publish_layers(&self, diff_ids: &[DiffId]) -> Result<(), StoreError> {
        let mut waiting = diff_ids.iter().filter(|it| !self.has_layer(it)).peekable();
        if waiting.peek().is_none() {
            return Ok(());
        }
        self.sync()?;
        for diff_id in waiting {
            let path = self.layer_path(diff_id);
            match fs_err::rename(self.waiting_path(diff_id)?, &path) {
                // Another process that waited for the same sync has renamed it
                // first.
                Err(_) if self.has_layer(diff_id) => {}
                renamed => renamed.map_err(|source| StoreError::io("publish", &path, source))?,
            }
            crash::at(Point::LayerVisible);
        }
        Ok(())
    }

    /// Whether a layer is extracted. It may not be on the disk yet.
    pub fn is_extracted(&self, diff_id: &DiffId) -> Result<bool, StoreError> {
        // The order matters: a tree moves from the first place to the second.
        Ok(self.waiting_path(diff_id)?.is_dir() || self.has_layer(diff_id))
    }

    /// The path where a tree waits for the sync.
    fn waiting_path(&self, diff_id: &DiffId) -> Result<PathBuf, StoreError> {
        let boot =
            boot_id::id().map_err(|source| StoreError::io("read", boot_id::ID.as_ref(), source))?;
        let name = format!(".{boot}-{}", diff_id.0.hex());
        Ok(self.root().join("layers").join(name))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step fails the test")]
    use std::io::Read;

    use super::*;
    use crate::images::digest::Digest;

    fn archive() -> (DiffId, Vec<u8>) {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(5);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, "file", &b"whole"[..])
            .unwrap();
        let bytes = builder.into_inner().unwrap();
        (DiffId(Digest::of(&bytes)), bytes)
    }

    fn names(store: &Store) -> Vec<String> {
        let entries = fs_err::read_dir(store.root().join("layers")).unwrap();
        let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn a_layer_has_its_name_only_after_the_sync() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        let (diff_id, bytes) = archive();
        let extract = || store.extract_layer(&diff_id, Compression::None, &*bytes, Hasher::new());
        extract().unwrap();
        assert!(!store.has_layer(&diff_id));
        assert!(store.is_extracted(&diff_id).unwrap());
        // A process that waits for it does not extract it again.
        store
            .extract_layer(&diff_id, Compression::None, &b"not read"[..], Hasher::new())
            .unwrap();
        store.publish_layers(&[diff_id]).unwrap();
        assert!(store.has_layer(&diff_id));
        extract().unwrap();
        store.publish_layers(&[diff_id]).unwrap();
        assert_eq!(names(&store), [diff_id.0.hex()]);
    }

    /// An archive that is read only while others must wait.
    struct Locked<'a> {
        bytes: &'a [u8],
        lock: PathBuf,
    }

    impl Read for Locked<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match Lock::try_exclusive(&self.lock).unwrap() {
                Some(_) => Err(std::io::Error::other("nobody has to wait")),
                None => self.bytes.read(buffer),
            }
        }
    }

    #[test]
    fn two_do_not_extract_one_layer_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        let (diff_id, bytes) = archive();
        let archive = Locked {
            bytes: &bytes,
            lock: store.lock_path(&format!("layer-{}.lock", diff_id.0.hex())),
        };
        store
            .extract_layer(
                &diff_id,
                Compression::None,
                BufReader::new(archive),
                Hasher::new(),
            )
            .unwrap();
    }

    #[test]
    fn what_a_power_cut_left_is_not_taken_for_a_layer() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        let (diff_id, bytes) = archive();
        let boot = "00000000-0000-0000-0000-000000000000";
        let torn = format!(".{boot}-{}", diff_id.0.hex());
        let torn = store.root().join("layers").join(torn);
        fs_err::create_dir(&torn).unwrap();
        fs_err::write(torn.join("file"), "").unwrap();
        assert!(!store.is_extracted(&diff_id).unwrap());
        store
            .extract_layer(&diff_id, Compression::None, &*bytes, Hasher::new())
            .unwrap();
        store.publish_layers(&[diff_id]).unwrap();
        let file = store.layer_path(&diff_id).join("file");
        assert_eq!(fs_err::read_to_string(file).unwrap(), "whole");
        // No reference needs either layer, and no process uses the store.
        store.collect_garbage().unwrap().unwrap();
        assert_eq!(names(&store), [""; 0]);
    }
}
