//! Extracts layers: from a compressed tar archive to a directory tree that
//! overlayfs takes as a lower directory. Source: OCI image specification,
//! "Image Layer Filesystem Changeset".
//!
//! The tar crate reads only the fields of a header. The kernel resolves every
//! path of an archive below the layer's root (`openat2`, `RESOLVE_IN_ROOT`), so
//! that no link leads out.

mod archive;
mod attributes;
mod content;
mod entry;
mod gzip;
mod header;
pub mod merged;
mod metadata;
mod paths;
mod pax;
mod sparse;
pub mod stack;
mod tree;
mod whiteout;

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use protocol::{Failure, FailureKind};

use crate::images::digest::{DiffId, Hasher};
use crate::images::media_type;
use crate::store::StoreError;

pub(crate) use archive::SIZE_CAP;

/// Bytes that are read, decompressed and hashed at a time.
pub(crate) const BUFFER: usize = 256 * 1024;

/// How a layer's archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// No compression.
    None,
    /// gzip: RFC 1952, one or more members.
    Gzip,
    /// Zstandard: RFC 8878, one or more frames.
    Zstd,
}

/// A layer cannot be extracted.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The archive cannot be read.
    #[error("the layer's archive is damaged")]
    Archive(#[source] io::Error),
    /// locald refuses an entry, because it is dangerous or malformed.
    #[error("entry {path:?} is refused: {reason}")]
    Refused {
        /// The entry's path.
        path: String,
        /// The reason, as a clause.
        reason: &'static str,
    },
    /// The archive exceeds a limit on entries or bytes.
    #[error("the layer is too large: {0}")]
    Quota(&'static str),
    /// An entry cannot be written.
    #[error("cannot write {path:?} of the layer")]
    Write {
        /// The entry's path.
        path: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file system cannot store an extended attribute.
    #[error(
        "{path:?} of the layer has the extended attribute {name:?} of {length} bytes, which cannot be kept"
    )]
    Attribute {
        /// Name of the attribute.
        name: String,
        /// Size of its value in bytes.
        length: usize,
        /// The entry's path.
        path: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The diffID of the content is not the one in the image's configuration.
    #[error("the layer has the diffID {actual}, not {expected}")]
    Mismatch {
        /// The diffID in the image's configuration.
        expected: DiffId,
        /// The digest of the decompressed archive.
        actual: DiffId,
    },
    /// An operation of the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Compression {
    /// Detects the compression from the first bytes of an archive, because the
    /// media type of a layer is often wrong. Returns the compression and the
    /// whole archive.
    pub fn of_archive(mut archive: impl BufRead + Send) -> io::Result<(Self, impl BufRead + Send)> {
        let mut head = Vec::new();
        archive.by_ref().take(4).read_to_end(&mut head)?;
        let compression = match *head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A Zstandard frame, or a skippable frame.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Self::Zstd,
            _ => Self::None,
        };
        Ok((compression, io::Cursor::new(head).chain(archive)))
    }

    /// The compression that a layer's media type names; absent if the media
    /// type is not that of a layer.
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            media_type::LAYER | media_type::FOREIGN_LAYER | media_type::DOCKER_LAYER => {
                Some(Self::None)
            }
            media_type::LAYER_GZIP
            | media_type::FOREIGN_LAYER_GZIP
            | media_type::DOCKER_LAYER_GZIP
            | media_type::DOCKER_FOREIGN_LAYER_GZIP => Some(Self::Gzip),
            media_type::LAYER_ZSTD | media_type::DOCKER_LAYER_ZSTD => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The decompressed bytes of an archive.
    pub fn reader<'a>(
        self,
        archive: impl BufRead + Send + 'a,
    ) -> io::Result<Box<dyn Read + Send + 'a>> {
        Ok(match self {
            Self::None => Box::new(archive),
            Self::Gzip => Box::new(gzip::Members::new(archive)?),
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(archive)?),
        })
    }
}

/// The result of an extraction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extraction {
    /// The digest of the decompressed archive.
    pub diff_id: DiffId,
    /// Directories that contain entries and have no entry of their own: see
    /// [`stack`].
    pub implied: Vec<PathBuf>,
}

/// Extracts an archive into a new directory. Passes the decompressed bytes to
/// `hasher`. After an error the directory is incomplete, and the caller removes
/// it.
pub fn extract(
    archive: impl BufRead + Send,
    compression: Compression,
    root: &Path,
    hasher: Hasher,
) -> Result<Extraction, LayerError> {
    let plain = compression.reader(archive).map_err(LayerError::Archive)?;
    let mut content = BufReader::with_capacity(BUFFER, Hashed { plain, hasher });
    let mut tree = tree::Tree::new(root)?;
    archive::apply(&mut content, &mut tree)?;
    let implied = tree.finish()?;
    archive::read_padding(&mut content)?;
    let diff_id = DiffId(content.into_inner().hasher.finish());
    Ok(Extraction { diff_id, implied })
}

/// A reader that hashes the bytes that pass through it.
struct Hashed<R> {
    plain: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.plain.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

impl From<LayerError> for Failure {
    fn from(error: LayerError) -> Self {
        match error {
            LayerError::Store(error) => error.into(),
            LayerError::Write { ref source, .. } => {
                let full = protocol::is_full(source);
                let kind = if full {
                    FailureKind::DiskFull
                } else {
                    FailureKind::Store
                };
                Self::from_error(kind, &error)
            }
            LayerError::Attribute { .. } => Self::from_error(FailureKind::Store, &error).with_hint(
                "set LOCALD_HOME to a folder on a file system that can: XFS and Btrfs take \
                     more than ext4",
            ),
            _ => Self::from_error(FailureKind::Integrity, &error),
        }
    }
}

#[cfg(test)]
mod tests;
