//! Defines the errors of the store.

use std::io;
use std::path::{Path, PathBuf};

use protocol::{Failure, FailureKind, is_full};

use crate::images::digest::Digest;

/// An operation of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// A verb, to be followed by the path.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The digest of a blob is not the announced one.
    #[error("content has the digest {actual}, not {expected}")]
    Mismatch {
        /// The announced digest.
        expected: Digest,
        /// The digest of the content.
        actual: Digest,
    },
    /// The size of a blob is not the announced one.
    #[error("{digest} has {actual} bytes, not {expected}")]
    Size {
        /// The digest of the blob.
        digest: Digest,
        /// The announced size in bytes.
        expected: u64,
        /// The actual size in bytes.
        actual: u64,
    },
    /// A manifest or configuration is malformed or not supported.
    #[error("{what} {digest} is not usable: {reason}")]
    Document {
        /// "manifest" or "configuration".
        what: &'static str,
        /// The digest of the document.
        digest: Digest,
        /// The reason, as a clause.
        reason: String,
    },
    /// More than one image has a digest with this prefix.
    #[error("{0} fits more than one image")]
    Ambiguous(String),
    /// The index is lost or damaged.
    #[error("the names of the images cannot be read from {}", path.display())]
    Index {
        /// The index file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// An entry of the index has no digest that locald can parse.
    #[error("an entry of index.json is not understood: {0}")]
    Entry(String),
    /// locald cannot determine which content a reference needs.
    #[error("nothing is removed, because it is not known what {reference} needs")]
    UnknownNeeds {
        /// An image, or another entry of the index.
        reference: String,
        /// The cause.
        #[source]
        source: Box<StoreError>,
    },
}

impl StoreError {
    /// An I/O error at a path. `action` is a verb, such as "read".
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    fn kind(&self) -> FailureKind {
        match self {
            Self::Io { source, .. } if is_full(source) => FailureKind::DiskFull,
            Self::Io { .. } | Self::Index { .. } | Self::Entry(_) | Self::UnknownNeeds { .. } => {
                FailureKind::Store
            }
            Self::Mismatch { .. } | Self::Size { .. } | Self::Document { .. } => {
                FailureKind::Integrity
            }
            Self::Ambiguous(_) => FailureKind::Invalid,
        }
    }

    /// Whether this user lacks the permission to read a file of another user.
    pub(crate) fn is_denied(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            Self::UnknownNeeds { source, .. } => source.is_denied(),
            _ => false,
        }
    }

    /// Whether the content is damaged. Returns false if the content could not
    /// be read for lack of a permission or of a descriptor, because it may be
    /// intact.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Io { source, .. } | Self::Index { source, .. } => is_damage(source),
            Self::UnknownNeeds { source, .. } => source.is_damage(),
            _ => true,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Io { path, source, .. } if is_full(source) => Some(format!(
                "free space on the file system of {}, or set LOCALD_HOME to another",
                path.display()
            )),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => Some(
                "its file system is mounted read-only: mount it writable, or set LOCALD_HOME to another"
                    .to_owned(),
            ),
            Self::Io { path, .. } if self.is_denied() => Some(owner_hint(path)),
            Self::UnknownNeeds { source, .. } if source.is_denied() => source.hint(),
            Self::UnknownNeeds { reference, .. } => Some(format!(
                "`locald store verify --repair` mends what can be mended, `locald image rm {reference}` gives it up"
            )),
            Self::Index { .. } => Some(
                "`locald store verify --repair` finds the names again; it removes nothing".to_owned(),
            ),
            _ => None,
        }
    }
}

/// Whether a file is missing, or its content cannot be parsed.
pub(super) fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, IsADirectory, NotADirectory, NotFound, UnexpectedEof};
    matches!(
        error.kind(),
        InvalidData | IsADirectory | NotADirectory | NotFound | UnexpectedEof
    )
}

/// The folder whose owner the user must restore. If the path is in a store,
/// this is the store's folder.
fn owner_hint(path: &Path) -> String {
    let is_store = |folder: &&Path| folder.join("oci-layout").exists();
    let store = path.ancestors().skip(1).find(is_store);
    let folder = store.or(path.parent()).unwrap_or(path).display();
    format!(
        "`sudo chown -R \"$(id -un)\" {folder}` gives it back to you; LOCALD_HOME puts all of it elsewhere"
    )
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let mut failure = Self::from_error(error.kind(), &error);
        failure.hint = error.hint();
        failure
    }
}

/// Makes a directory and its parents.
pub(super) fn create_dir_all(path: &Path) -> Result<(), StoreError> {
    fs_err::create_dir_all(path).map_err(|source| StoreError::io("make", path, source))
}

/// Makes a directory, if it is missing, that only its owner can enter. The
/// files in it keep the modes that they have in images.
pub(super) fn create_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|source| StoreError::io("make", path, source))
}

/// Makes a rename into a file's directory survive a power cut.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => fs_err::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::fs::PermissionsExt as _;

    use rustix::io::Errno;

    use super::*;

    #[test]
    fn nobody_else_reaches_what_images_hold() {
        let parent = tempfile::tempdir().unwrap();
        let home = parent.path().join("home");
        create_private(&home.join("store")).unwrap();
        for made in [home.join("store"), home] {
            let mode = fs_err::metadata(made).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }
    }

    #[test]
    fn what_is_exhausted_is_told_also_behind_a_path() {
        let with_path = |errno: Errno| {
            let error = io::Error::from(errno);
            io::Error::new(error.kind(), error)
        };
        for errno in [Errno::NOSPC, Errno::DQUOT] {
            assert!(is_full(&errno.into()) && is_full(&with_path(errno)));
        }
        assert!(!is_full(&Errno::MFILE.into()));
    }
}
