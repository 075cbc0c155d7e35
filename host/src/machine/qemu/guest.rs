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

/// The environment variable with another folder of a guest.
const VARIABLE: &str = "LOCALD_GUEST";
/// Folders of locald's guest, relative to the program's folder.
const PLACES: [&str; 3] = ["guest", "../share/locald/guest", "../lib/locald/guest"];

/// A guest in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guest {
    pub(super) kernel: PathBuf,
    pub(super) initramfs: PathBuf,
    /// The build of its agent.
    pub(super) agent: String,
    /// Its architecture.
    pub(super) architecture: Architecture,
}

/// `guest.json`
#[derive(Debug, Deserialize)]
struct Description {
    agent: String,
    architecture: String,
}

impl Guest {
    /// Finds the guest. Precedence: the environment, the configuration,
    /// locald's own. Downloads it if necessary.
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

    /// Finds the guest without a download. Returns `None` if it needs one.
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

/// The place of a guest.
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

/// Returns the first folder that has a guest, or else the first one of the
/// list.
fn own() -> Result<PathBuf, QemuError> {
    let program = std::env::current_exe()
        .and_then(fs_err::canonicalize)
        .map_err(QemuError::io("find this program"))?;
    let folder = program.parent().unwrap_or(Path::new("/"));
    let mut places = PLACES.iter().map(|place| folder.join(place));
    let found = places.find(|place| place.join(DESCRIPTION).is_file());
    Ok(found.unwrap_or_else(|| folder.join(PLACES[0])))
}
