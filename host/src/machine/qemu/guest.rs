//! Finds the guest: a kernel, and an initramfs whose `/init` is the agent.
//! `vm-images/guest` makes both.

use std::path::{Path, PathBuf};

use protocol::build_id::Architecture;
use serde::Deserialize;

use super::QemuError;
use super::download::Remote;
use super::folder::{DESCRIPTION, INITRAMFS, KERNEL, MachineFolder};
use crate::output::Printer;
use crate::settings::GuestImage;

/// The variable that names another folder.
const VARIABLE: &str = "LOCALD_GUEST";
/// Where the guest is that comes with locald, seen from the program's folder.
const PLACES: [&str; 3] = ["guest", "../share/locald/guest", "../lib/locald/guest"];

/// A guest's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guest {
    pub(super) kernel: PathBuf,
    pub(super) initramfs: PathBuf,
    /// The build of the agent in it.
    pub(super) agent: String,
    /// What it is made for.
    pub(super) architecture: Architecture,
}

/// `guest.json`
#[derive(Debug, Deserialize)]
struct Description {
    agent: String,
    architecture: String,
}

impl Guest {
    /// The guest of the environment, of the configuration, or the one that
    /// comes with locald.
    pub(super) async fn get(
        configured: Option<&GuestImage>,
        machine: &MachineFolder,
        printer: &mut Printer,
    ) -> Result<Self, QemuError> {
        let folder = match Place::of(configured)? {
            Place::Here(folder) => folder,
            Place::Elsewhere(remote) => remote.get(machine, printer).await?,
        };
        Self::read(&folder)
    }

    /// The same, where nothing may be downloaded: absent when it would be.
    pub(super) fn find(
        configured: Option<&GuestImage>,
        machine: &MachineFolder,
    ) -> Result<Option<Self>, QemuError> {
        let folder = match Place::of(configured)? {
            Place::Here(folder) => Some(folder),
            Place::Elsewhere(remote) => remote.stored(machine),
        };
        folder.map(|folder| Self::read(&folder)).transpose()
    }

    fn read(folder: &Path) -> Result<Self, QemuError> {
        let missing = |file| QemuError::NoGuest {
            folder: folder.to_owned(),
            file,
        };
        let file = |name: &'static str| {
            let path = std::path::absolute(folder.join(name)).unwrap_or_default();
            if path.is_file() {
                Ok(path)
            } else {
                Err(missing(name))
            }
        };
        let (kernel, initramfs) = (file(KERNEL)?, file(INITRAMFS)?);
        let path = file(DESCRIPTION)?;
        let step = format!("read {}", path.display());
        let text = fs_err::read(&path).map_err(QemuError::io(&step))?;
        let description: Description =
            serde_json::from_slice(&text).map_err(|error| QemuError::io(&step)(error.into()))?;
        let architecture = Architecture::named(&description.architecture);
        let architecture = architecture.ok_or_else(|| QemuError::GuestArchitecture {
            folder: folder.to_owned(),
            found: description.architecture,
        })?;
        Ok(Self {
            kernel,
            initramfs,
            agent: description.agent,
            architecture,
        })
    }
}

/// Where a guest is.
enum Place<'a> {
    Here(PathBuf),
    Elsewhere(Remote<'a>),
}

impl<'a> Place<'a> {
    fn of(configured: Option<&'a GuestImage>) -> Result<Self, QemuError> {
        let named = std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty());
        Ok(match (named, configured) {
            (Some(folder), _) => Self::Here(folder.into()),
            (None, Some(GuestImage::Path(path))) => Self::Here(path.clone()),
            (None, Some(GuestImage::Url { url, digest })) => {
                Self::Elsewhere(Remote::new(url, digest.as_deref())?)
            }
            (None, None) => Self::Here(own()?),
        })
    }
}

/// The first place that has one, else the one where it should be.
fn own() -> Result<PathBuf, QemuError> {
    let program = std::env::current_exe()
        .and_then(fs_err::canonicalize)
        .map_err(QemuError::io("find this program"))?;
    let folder = program.parent().unwrap_or(Path::new("/"));
    let mut places = PLACES.iter().map(|place| folder.join(place));
    let found = places.find(|place| place.join(DESCRIPTION).is_file());
    Ok(found.unwrap_or_else(|| folder.join(PLACES[0])))
}
