//! Reads `[machine]` of `config.toml`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::{Failure, FailureKind};
use serde::Deserialize;

use super::machine_kind::MachineKind;

/// The default memory of a virtual machine, in bytes.
const MEMORY: u64 = 2 << 30;
/// The default maximum size of its disk, in bytes.
const DISK: u64 = 60 << 30;
/// The default time after which an unused machine stops.
const IDLE: Duration = Duration::from_mins(30);

/// The table. Keys for virtual machines have no effect on other kinds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct MachineTable {
    pub(crate) kind: Option<MachineKind>,
    cpus: Option<u32>,
    memory: Option<Size>,
    disk: Option<Size>,
    guest: Option<String>,
    guest_digest: Option<String>,
    idle_minutes: Option<f64>,
}

/// The size and the guest of a virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Processors.
    pub(crate) cpus: u32,
    /// Bytes of memory.
    pub(crate) memory: u64,
    /// The maximum size of the data disk, in bytes.
    pub(crate) disk: u64,
    /// The guest. Absent means locald's own.
    pub(crate) guest: Option<GuestImage>,
    /// The time after which an unused machine stops. Absent means never.
    pub(crate) idle: Option<Duration>,
}

/// The guest of a virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GuestImage {
    /// A disk image, or a folder with a kernel and its file systems.
    Path(PathBuf),
    /// A URL of the same. For a folder, it is an archive.
    Url {
        url: String,
        /// `sha256:…`, or for lima also `sha512:…`.
        digest: Option<String>,
    },
}

/// A number of bytes: `4GiB`, `512MiB`, `60GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Size(pub(crate) u64);

/// The text is not a valid size.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a valid size: write it like 4GiB or 512MiB")]
pub(crate) struct BadSize(String);

/// The guest is a URL, and this kind of machine does not download guests.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("this kind of machine needs a guest on this system, not {0}")]
pub(crate) struct RemoteGuest(String);

impl Shape {
    /// Returns the guest's path, for machines that do not download guests.
    pub(crate) fn local_guest(&self) -> Result<Option<&Path>, RemoteGuest> {
        match &self.guest {
            None => Ok(None),
            Some(GuestImage::Path(path)) => Ok(Some(path)),
            Some(GuestImage::Url { url, .. }) => Err(RemoteGuest(url.clone())),
        }
    }
}

impl From<RemoteGuest> for Failure {
    fn from(error: RemoteGuest) -> Self {
        Self::from_error(FailureKind::Invalid, &error)
            .with_hint("download it, and name the file or folder as guest in [machine]")
    }
}

impl MachineTable {
    /// Makes relative paths absolute. They are relative to the settings file.
    pub(super) fn resolve(&mut self, folder: &Path) {
        let path = |guest: String| {
            let path = folder.join(&guest);
            match path.to_str() {
                Some(path) if !guest.contains("://") => path.to_owned(),
                _ => guest,
            }
        };
        self.guest = self.guest.take().map(path);
    }

    /// Returns the shape. Missing values become defaults.
    pub(crate) fn shape(&self) -> Shape {
        let host = std::thread::available_parallelism().map_or(1, usize::from);
        let cpus = u32::try_from(host).unwrap_or(1).min(8);
        Shape {
            cpus: self.cpus.unwrap_or(cpus).max(1),
            memory: self.memory.map_or(MEMORY, |size| size.0),
            disk: self.disk.map_or(DISK, |size| size.0),
            guest: self.guest.clone().map(|guest| {
                if guest.contains("://") {
                    let digest = self.guest_digest.clone();
                    GuestImage::Url { url: guest, digest }
                } else {
                    GuestImage::Path(guest.into())
                }
            }),
            idle: match self.idle_minutes {
                // Zero means never, and so does a time that is too long for a
                // `Duration`.
                Some(minutes) => Duration::try_from_secs_f64(minutes * 60.0)
                    .ok()
                    .filter(|idle| !idle.is_zero()),
                None => Some(IDLE),
            },
        }
    }
}

impl std::str::FromStr for Size {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Self, BadSize> {
        let bad = || BadSize(text.to_owned());
        let end = text.find(|c: char| !c.is_ascii_digit());
        let (number, unit) = text.split_at(end.ok_or_else(bad)?);
        let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "mib" | "m" => 1 << 20,
            "gib" | "g" => 1 << 30,
            "tib" | "t" => 1 << 40,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err(bad()),
        };
        let number: u64 = number.parse().map_err(|_| bad())?;
        number.checked_mul(factor).map(Self).ok_or_else(bad)
    }
}

impl TryFrom<String> for Size {
    type Error = BadSize;

    fn try_from(text: String) -> Result<Self, BadSize> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!("4GiB".parse(), Ok(Size(4 << 30)));
        assert_eq!("512 MiB".parse(), Ok(Size(512 << 20)));
        assert_eq!("60GB".parse(), Ok(Size(60_000_000_000)));
        for text in ["", "4", "GiB", "4 bananas", "99999999999TiB", "-1GiB"] {
            assert_eq!(text.parse::<Size>(), Err(BadSize(text.to_owned())));
        }
    }
}
