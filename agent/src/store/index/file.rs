//! Reads and writes the file `index.json` and its copy.
//!
//! Only the index holds the names of images. So locald also writes a copy of
//! it, after each write of the index.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};

use super::document::Document;
use crate::crash::{self, Point};
use crate::store::{Store, StoreError, error, remove_file};

/// The copy.
const COPY: &str = "index-copy.json";
/// The new content before the rename. Only the holder of `index.lock` writes
/// it.
const NEW: &str = "index-new.json";

impl Store {
    pub(super) fn index_path(&self) -> PathBuf {
        self.root().join("index.json")
    }

    pub(super) fn copy_path(&self) -> PathBuf {
        self.root().join(COPY)
    }

    /// Reads the index. Returns an empty one if there are no blobs yet.
    pub(in crate::store) fn read_index(&self) -> Result<Document, StoreError> {
        let path = self.index_path();
        match read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.has_blobs()? => {
                Ok(Document::empty())
            }
            Ok(document) => Ok(document),
            Err(source) if error::is_damage(&source) => Err(StoreError::Index { path, source }),
            Err(source) => Err(StoreError::io("read", &path, source)),
        }
    }

    /// The copy of the index.
    pub(super) fn read_copy(&self) -> io::Result<Document> {
        read(&self.copy_path())
    }

    /// Replaces the index in one step that survives a power cut, then writes
    /// the copy.
    pub(super) fn write_index(&self, document: &Document) -> Result<(), StoreError> {
        let path = self.index_path();
        let bytes = document.to_bytes();
        self.replace_index(&bytes)
            .map_err(|source| StoreError::io("write", &path, source))?;
        crash::at(Point::IndexReplaced);
        // The index is already on the disk, so the copy does not need a sync.
        if let Err(error) = self.replace_copy(&bytes) {
            tracing::debug!(%error, "the copy of the index is not written");
        }
        crash::at(Point::IndexCopied);
        Ok(())
    }

    fn replace_index(&self, bytes: &[u8]) -> io::Result<()> {
        let (path, new) = (self.index_path(), self.root().join(NEW));
        match write(&new, bytes) {
            Ok(()) => {
                crash::at(Point::IndexWritten);
                fs_err::rename(&new, &path)?;
            }
            Err(error) if protocol::is_full(&error) => {
                remove_file(&new)?;
                // A removal must work on a full disk. The copy already has its
                // space, so it changes places with the index.
                let copy = self.copy_path();
                overwrite(&copy, bytes)?.then_some(()).ok_or(error)?;
                rustix::fs::renameat_with(CWD, &copy, CWD, &path, RenameFlags::EXCHANGE)?;
            }
            Err(error) => return Err(error),
        }
        error::sync_parent(&path)
    }

    fn replace_copy(&self, bytes: &[u8]) -> io::Result<()> {
        let (copy, new) = (self.copy_path(), self.root().join(NEW));
        if fs_err::write(&new, bytes).is_ok() {
            return fs_err::rename(&new, &copy);
        }
        remove_file(&new)?;
        overwrite(&copy, bytes).map(drop)
    }

    fn has_blobs(&self) -> Result<bool, StoreError> {
        let blobs = self.root().join("blobs/sha256");
        let mut entries =
            fs_err::read_dir(&blobs).map_err(|source| StoreError::io("list", &blobs, source))?;
        Ok(entries.next().is_some())
    }
}

fn read(path: &Path) -> io::Result<Document> {
    let bytes = fs_err::read(path)?;
    Ok(Document::parse(&bytes)?)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs_err::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Overwrites the bytes of a file in place. Returns false if the file is too
/// small.
fn overwrite(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let mut file = fs_err::OpenOptions::new().write(true).open(path)?;
    let length = bytes.len() as u64;
    if file.metadata()?.len() < length {
        return Ok(false);
    }
    file.write_all(bytes)?;
    file.set_len(length)?;
    file.sync_all()?;
    Ok(true)
}
