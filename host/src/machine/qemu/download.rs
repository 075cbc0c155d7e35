//! Downloads a guest: a `.tar.gz` of the files that `vm-images/guest` makes.
//! Its digest identifies it, and names its folder in the machine's folder.

use std::fmt;
use std::io::{self, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use flate2::read::GzDecoder;
use reqwest::Client;
use sha2::{Digest as _, Sha256};

use super::QemuError;
use super::folder::{GUEST_FILES, MachineFolder, remove_all};
use crate::output::Printer;

/// The time limit for a connection, and for each read.
const PATIENCE: Duration = Duration::from_secs(30);
/// The maximum size of an archive and of each file in it, in bytes. A guest has
/// about 20 MB.
const LIMIT: u64 = 1 << 30;

/// Why a guest could not be downloaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    #[error("the guest at {url} has no guest-digest, which locald needs")]
    NoDigest { url: String },
    #[error("guest-digest is not valid")]
    BadDigest(#[from] BadGuestDigest),
    #[error("the guest cannot be downloaded from {url}")]
    Http {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("the guest from {url} has more than {} MiB", LIMIT >> 20)]
    TooLarge { url: String },
    #[error("the guest from {url} is {found}, not {wanted}")]
    OtherDigest {
        url: String,
        found: GuestDigest,
        wanted: GuestDigest,
    },
    #[error("the guest from {url} is not a .tar.gz of a guest")]
    NoArchive {
        url: String,
        #[source]
        source: io::Error,
    },
    #[error("the archive from {url} has no {file}")]
    Lacks { url: String, file: &'static str },
    #[error("the guest cannot be stored in {}", folder.display())]
    Store {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl DownloadError {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::NoDigest { .. } | Self::BadDigest(_) => {
                "set guest-digest = \"sha256:…\" beside guest in [machine]: `sha256sum` prints it"
            }
            Self::OtherDigest { .. } => {
                "the file has been replaced, or was damaged on its way: ask who serves it for its digest"
            }
            Self::Http { .. } => "try again, or name a folder as guest in [machine]",
            Self::TooLarge { .. } | Self::NoArchive { .. } | Self::Lacks { .. } => {
                "it is made by: vm-images/guest FOLDER && tar -czf guest.tar.gz -C FOLDER ."
            }
            Self::Store { .. } => "see that this user can write there",
        }
    }
}

/// A SHA-256 digest: `sha256:` and 64 lowercase hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GuestDigest(String);

/// The text is not a valid digest.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a SHA-256 digest")]
pub(super) struct BadGuestDigest(String);

impl GuestDigest {
    fn of(hash: Sha256) -> Self {
        let digits = |text, byte: &u8| format!("{text}{byte:02x}");
        Self(hash.finalize().iter().fold("sha256:".to_owned(), digits))
    }

    /// Returns the hexadecimal digits.
    fn hex(&self) -> &str {
        self.0.trim_start_matches("sha256:")
    }
}

impl FromStr for GuestDigest {
    type Err = BadGuestDigest;

    fn from_str(text: &str) -> Result<Self, BadGuestDigest> {
        let digits = text.strip_prefix("sha256:").unwrap_or_default();
        let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if digits.len() == 64 && digits.chars().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadGuestDigest(text.to_owned()))
        }
    }
}

impl fmt::Display for GuestDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A guest to download. Its digest identifies it.
#[derive(Debug)]
pub(super) struct Remote<'a> {
    url: &'a str,
    digest: GuestDigest,
}

impl<'a> Remote<'a> {
    pub(super) fn new(url: &'a str, digest: Option<&str>) -> Result<Self, DownloadError> {
        let Some(digest) = digest else {
            let url = url.to_owned();
            return Err(DownloadError::NoDigest { url });
        };
        let digest = digest.parse()?;
        Ok(Self { url, digest })
    }

    /// Returns the folder of the guest, if it was downloaded before.
    pub(super) fn stored(&self, folder: &MachineFolder) -> Option<PathBuf> {
        let place = folder.guests().join(self.digest.hex());
        place.is_dir().then_some(place)
    }

    /// Returns the folder of the guest, and downloads it if necessary. Removes
    /// other downloaded guests.
    pub(super) async fn get(
        &self,
        folder: &MachineFolder,
        printer: &mut Printer,
    ) -> Result<PathBuf, QemuError> {
        if let Some(place) = self.stored(folder) {
            return Ok(place);
        }
        let waiting = || printer.note("Waiting for another locald that starts the machine");
        let _lock = folder.lock(waiting).await?;
        if let Some(place) = self.stored(folder) {
            return Ok(place);
        }
        printer.note(&format!("Downloading the machine's guest: {}", self.url));
        Ok(self.store(&folder.guests()).await?)
    }

    async fn store(&self, guests: &Path) -> Result<PathBuf, DownloadError> {
        let failed = |source| DownloadError::Store {
            folder: guests.to_owned(),
            source,
        };
        let removed = remove_all(guests);
        let empty = removed.and_then(|()| fs_err::create_dir_all(guests));
        empty.map_err(failed)?;
        let mut archive = tempfile::tempfile_in(guests).map_err(failed)?;
        self.download(&mut archive, failed).await?;
        let new = tempfile::tempdir_in(guests).map_err(failed)?;
        self.unpack(&mut archive, new.path(), failed)?;
        let place = guests.join(self.digest.hex());
        fs_err::rename(new.path(), &place).map_err(failed)?;
        Ok(place)
    }

    async fn download(
        &self,
        archive: &mut std::fs::File,
        failed: impl Fn(io::Error) -> DownloadError,
    ) -> Result<(), DownloadError> {
        let url = || self.url.to_owned();
        let broken = |source: reqwest::Error| DownloadError::Http {
            url: url(),
            source: source.without_url(),
        };
        // The agent in this process installs the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(PATIENCE)
            .read_timeout(PATIENCE)
            .build()
            .map_err(broken)?;
        let response = client.get(self.url).send().await;
        let response = response.and_then(reqwest::Response::error_for_status);
        let mut response = response.map_err(broken)?;
        let (mut hash, mut size) = (Sha256::new(), 0);
        while let Some(bytes) = response.chunk().await.map_err(broken)? {
            size += bytes.len() as u64;
            if size > LIMIT {
                return Err(DownloadError::TooLarge { url: url() });
            }
            hash.update(&bytes);
            archive.write_all(&bytes).map_err(&failed)?;
        }
        let found = GuestDigest::of(hash);
        if found == self.digest {
            return Ok(());
        }
        Err(DownloadError::OtherDigest {
            url: url(),
            found,
            wanted: self.digest.clone(),
        })
    }

    /// Extracts only the guest's files. Ignores the folders in their paths.
    fn unpack(
        &self,
        archive: &mut std::fs::File,
        new: &Path,
        failed: impl Fn(io::Error) -> DownloadError,
    ) -> Result<(), DownloadError> {
        let broken = |source| DownloadError::NoArchive {
            url: self.url.to_owned(),
            source,
        };
        archive.rewind().map_err(&failed)?;
        let mut archive = tar::Archive::new(GzDecoder::new(archive));
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let path = entry.path().map_err(broken)?;
            let name = GUEST_FILES.into_iter().find(|name| path.ends_with(name));
            let Some(name) = name.filter(|_| entry.header().entry_type().is_file()) else {
                continue;
            };
            let mut file = fs_err::File::create(new.join(name)).map_err(&failed)?;
            let mut chunk = vec![0; 1 << 16];
            let mut content = entry.by_ref().take(LIMIT);
            loop {
                match content.read(&mut chunk).map_err(broken)? {
                    0 => break,
                    read => file.write_all(&chunk[..read]).map_err(&failed)?,
                }
            }
            file.sync_all().map_err(&failed)?;
        }
        match GUEST_FILES
            .into_iter()
            .find(|name| !new.join(name).is_file())
        {
            None => Ok(()),
            Some(file) => Err(DownloadError::Lacks {
                url: self.url.to_owned(),
                file,
            }),
        }
    }
}
