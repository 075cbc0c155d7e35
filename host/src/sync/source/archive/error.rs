//! The errors of archives.

use std::io;

use zip::result::ZipError;

/// Why an archive cannot be a source.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("is neither a folder nor a zip archive")]
    NoArchive,
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("is a damaged zip archive: {0}")]
    Damaged(ZipError),
    #[error("has {name:?}, which is encrypted")]
    Encrypted { name: String },
    #[error("has {name:?}, which is compressed by another method than deflate: {method}")]
    Method { name: String, method: String },
    #[error("has {name:?}, which leads out of it")]
    Outside { name: String },
    #[error("has {name:?}, an absolute path")]
    Absolute { name: String },
    #[error("has {name:?}, which no file can be called")]
    Name { name: String },
    #[error("has the link {name:?}, which leads out of it, to {target:?}")]
    LinkOutside { name: String, target: String },
    #[error("has the link {name:?}, whose target is too long")]
    LongLink { name: String },
    #[error("has {name:?} twice")]
    Twice { name: String },
    #[error("has {name:?}, which is both a file and a folder")]
    FileAndFolder { name: String },
    #[error("has {count} entries")]
    TooMany { count: usize },
    #[error("has longer paths than anybody needs")]
    LongPaths,
    #[error("has entries that share their bytes")]
    Overlap,
    #[error("would unpack to more than {unpacked} bytes, out of {size}")]
    TooLarge { size: u64, unpacked: u64 },
}

impl ArchiveError {
    /// Returns the hint for the error.
    pub(crate) const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoArchive => Some("name a folder, or a zip, jar, war or ear file"),
            Self::Read(_) => None,
            Self::Damaged(_) => Some("`unzip -t FILE` says what is wrong with it; pack it again"),
            Self::Encrypted { .. }
            | Self::Method { .. }
            | Self::Twice { .. }
            | Self::FileAndFolder { .. }
            | Self::TooMany { .. }
            | Self::LongPaths => {
                Some("unpack it and build the folder, or pack it again without that")
            }
            Self::TooLarge { .. } => {
                Some("unpack it yourself and build the folder, if you trust it")
            }
            Self::Outside { .. }
            | Self::Absolute { .. }
            | Self::Name { .. }
            | Self::LinkOutside { .. }
            | Self::LongLink { .. }
            | Self::Overlap => {
                Some("do not trust it; if it is your own, pack it again without that")
            }
        }
    }
}

impl From<ZipError> for ArchiveError {
    fn from(error: ZipError) -> Self {
        match error {
            ZipError::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                Self::Read(error)
            }
            error => Self::Damaged(error),
        }
    }
}
