//! Reads and writes blobs. A blob gets its name only after its digest is
//! verified.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use tempfile::NamedTempFile;

use super::{Store, StoreError};
use crate::crash::{self, Point};
use crate::images::digest::{Digest, Hasher};

/// An open blob.
pub type BlobReader = fs_err::File;

/// A blob that is being written. No reader sees it before
/// [`commit`](Self::commit).
#[derive(Debug)]
pub struct BlobWriter {
    store: Store,
    file: NamedTempFile,
    hasher: Hasher,
    size: u64,
}

impl Store {
    /// The path of a blob, whether or not it is in the store.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root().join("blobs/sha256").join(digest.hex())
    }

    /// Whether the store has a blob. Does not verify the digest.
    pub fn has_blob(&self, digest: &Digest) -> bool {
        self.blob_path(digest).is_file()
    }

    /// The size of a blob in bytes; absent if the store lacks the blob.
    pub fn blob_size(&self, digest: &Digest) -> Option<u64> {
        let metadata = fs_err::metadata(self.blob_path(digest)).ok()?;
        metadata.is_file().then_some(metadata.len())
    }

    /// Opens a blob.
    pub fn open_blob(&self, digest: &Digest) -> Result<BlobReader, StoreError> {
        let path = self.blob_path(digest);
        BlobReader::open(&path).map_err(|source| StoreError::io("open", &path, source))
    }

    /// Reads a blob of at most `cap` bytes, and verifies its digest.
    pub fn read_blob(&self, digest: &Digest, cap: u64) -> Result<Vec<u8>, StoreError> {
        let path = self.blob_path(digest);
        let mut bytes = Vec::new();
        self.open_blob(digest)?
            .take(cap.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|source| StoreError::io("read", &path, source))?;
        let actual = bytes.len() as u64;
        if actual > cap {
            let (digest, expected) = (*digest, cap);
            return Err(StoreError::Size {
                digest,
                expected,
                actual,
            });
        }
        check(digest, Digest::of(&bytes))?;
        Ok(bytes)
    }

    /// Computes the digest of a blob's content. It differs from the blob's name
    /// if the blob is damaged.
    pub fn hash_blob(&self, digest: &Digest) -> Result<Digest, StoreError> {
        let path = self.blob_path(digest);
        let file = self.open_blob(digest)?;
        Digest::of_all(file).map_err(|source| StoreError::io("read", &path, source))
    }

    /// Removes a blob.
    pub fn remove_blob(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.blob_path(digest);
        fs_err::remove_file(&path).map_err(|source| StoreError::io("remove", &path, source))
    }

    /// Starts a new blob.
    pub fn blob_writer(&self) -> Result<BlobWriter, StoreError> {
        let parent = self.scratch()?;
        let file = NamedTempFile::new_in(parent)
            .map_err(|source| StoreError::io("make a file in", parent, source))?;
        Ok(BlobWriter {
            store: self.clone(),
            file,
            hasher: Hasher::new(),
            size: 0,
        })
    }

    /// Stores a small blob. Replaces a damaged blob of the same name.
    pub fn write_blob(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        if self
            .read_blob(&digest, bytes.len() as u64)
            .is_ok_and(|stored| stored == bytes)
        {
            return Ok(digest);
        }
        let mut writer = self.blob_writer()?;
        writer
            .write_all(bytes)
            .map_err(|source| StoreError::io("write a blob in", self.root(), source))?;
        Ok(writer.replace(&digest)?.0)
    }
}

impl BlobWriter {
    /// Bytes written so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Discards the bytes written so far.
    pub fn restart(&mut self) -> io::Result<()> {
        io::Seek::rewind(self.file.as_file_mut())?;
        self.file.as_file().set_len(0)?;
        self.hasher = Hasher::new();
        self.size = 0;
        Ok(())
    }

    /// Verifies the blob against an announced digest, if there is one, and
    /// makes it visible. Returns its digest and its size in bytes. The blob's
    /// name survives a power cut only after [`Store::set_images`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Mismatch`] if the blob has another digest. The blob is
    /// then removed.
    pub fn commit(mut self, expected: Option<&Digest>) -> Result<(Digest, u64), StoreError> {
        let digest = self.verify(expected)?;
        // A stored blob of another size is damaged.
        if self.store.blob_size(&digest) == Some(self.size) {
            return Ok((digest, self.size));
        }
        self.publish(digest)
    }

    /// Like [`commit`](Self::commit), and replaces a stored blob that is
    /// damaged.
    pub fn replace(mut self, expected: &Digest) -> Result<(Digest, u64), StoreError> {
        let digest = self.verify(Some(expected))?;
        self.publish(digest)
    }

    fn verify(&mut self, expected: Option<&Digest>) -> Result<Digest, StoreError> {
        let digest = std::mem::take(&mut self.hasher).finish();
        if let Some(expected) = expected {
            check(expected, digest)?;
        }
        Ok(digest)
    }

    fn publish(self, digest: Digest) -> Result<(Digest, u64), StoreError> {
        let path = self.store.blob_path(&digest);
        let publish = || -> io::Result<()> {
            crash::at(Point::BlobWritten);
            self.file.as_file().sync_all()?;
            crash::at(Point::BlobSynced);
            self.file.persist(&path)?;
            crash::at(Point::BlobVisible);
            Ok(())
        };
        publish().map_err(|source| StoreError::io("write", &path, source))?;
        Ok((digest, self.size))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn check(expected: &Digest, actual: Digest) -> Result<(), StoreError> {
    if *expected == actual {
        return Ok(());
    }
    let expected = *expected;
    Err(StoreError::Mismatch { expected, actual })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step fails the test")]
    use super::*;

    #[test]
    fn a_blob_that_has_changed_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        let digest = store.write_blob(b"{}").unwrap();
        assert_eq!(store.read_blob(&digest, 2).unwrap(), b"{}");
        fs_err::write(store.blob_path(&digest), "[]").unwrap();
        let error = store.read_blob(&digest, 2).unwrap_err();
        assert!(matches!(error, StoreError::Mismatch { .. }), "{error}");
        fs_err::write(store.blob_path(&digest), "{ }").unwrap();
        let error = store.read_blob(&digest, 2).unwrap_err();
        assert!(matches!(error, StoreError::Size { .. }), "{error}");
        // A new write replaces the damaged blob.
        for damaged in ["[]", "{ }", ""] {
            fs_err::write(store.blob_path(&digest), damaged).unwrap();
            store.write_blob(b"{}").unwrap();
            assert_eq!(store.read_blob(&digest, 2).unwrap(), b"{}");
        }
    }
}
