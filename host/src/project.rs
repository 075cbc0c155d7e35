//! Finds a project, identifies it to the agent, and decides which files its
//! settings may name.

mod archive;
mod boundary;
mod host_id;
mod nearest;

use std::io;
use std::path::{Path, PathBuf};

use protocol::{Failure, FailureKind, request};
use sha2::{Digest as _, Sha256};

use crate::platform::home::Home;

pub(crate) use archive::is_archive;
pub(crate) use boundary::{Boundary, BoundaryError, repository_of};

/// A project: a folder, or an archive of one.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    /// The absolute path, without links. For an archive, its parent folder.
    pub(crate) folder: PathBuf,
    /// The absolute path of the archive, without links.
    pub(crate) archive: Option<PathBuf>,
    /// Whether the current folder is below the project's folder.
    is_above: bool,
    /// The service whose own build this is. Absent for the folder's usual
    /// build.
    service: Option<String>,
}

/// The hint about commands that accept an archive.
const ARCHIVES: &str =
    "`locald build` and `locald run` take an archive, without `--watch`; unpack it for all else";

/// Why there is no such project.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProjectError {
    /// The folder does not exist, or is a file.
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// The path is an archive, and the command needs a folder.
    #[error("{} is not a folder, but an archive", .0.display())]
    NoFolderButArchive(PathBuf),
    /// The folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl From<ProjectError> for Failure {
    fn from(error: ProjectError) -> Self {
        let failure = Self::from_error(FailureKind::Source, &error);
        match error {
            ProjectError::NoFolderButArchive(_) => failure.with_hint(ARCHIVES),
            _ => failure,
        }
    }
}

impl Project {
    /// Finds the project: `named`, or else the one that the current folder
    /// belongs to.
    pub(crate) fn find(named: Option<&Path>) -> Result<Self, ProjectError> {
        let project = Self::find_source(named)?;
        match project.archive {
            None => Ok(project),
            Some(archive) if is_archive(&archive) => Err(ProjectError::NoFolderButArchive(archive)),
            Some(file) => Err(ProjectError::NotAFolder(file)),
        }
    }

    /// Like [`find`](Self::find). Accepts an archive, too.
    pub(crate) fn find_source(named: Option<&Path>) -> Result<Self, ProjectError> {
        let path = named.unwrap_or(Path::new("."));
        let found = match dunce::canonicalize(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ProjectError::NotAFolder(path.to_owned()));
            }
            Err(source) => {
                let path = path.to_owned();
                return Err(ProjectError::Read { path, source });
            }
        };
        if !found.is_dir() {
            let folder = found.parent().unwrap_or(&found).to_owned();
            return Ok(Self {
                folder,
                archive: Some(found),
                is_above: false,
                service: None,
            });
        }
        let project = match named {
            Some(_) => &found,
            None => nearest::nearest(&found),
        };
        Ok(Self {
            is_above: project != found,
            folder: project.to_owned(),
            archive: None,
            service: None,
        })
    }

    /// Returns the path of the folder or the archive.
    pub(crate) fn source(&self) -> &Path {
        self.archive.as_deref().unwrap_or(&self.folder)
    }

    /// Returns the path whose last component becomes the image's name.
    pub(crate) fn named_after(&self) -> PathBuf {
        match &self.archive {
            Some(archive) => archive.with_extension(""),
            None => self.folder.clone(),
        }
    }

    /// Whether the current folder is below the project's folder.
    pub(crate) const fn is_above(&self) -> bool {
        self.is_above
    }

    /// Whether the folder contains the user's whole home. That is hardly
    /// intended.
    pub(crate) fn is_whole_home(&self) -> bool {
        let home = directories::BaseDirs::new();
        let home = home.and_then(|it| dunce::canonicalize(it.home_dir()).ok());
        self.archive.is_none() && boundary::holds_home(&self.folder, home.as_deref())
    }

    /// Returns the same folder for the build of a service, which has caches of
    /// its own.
    pub(crate) fn of_service(self, name: &str) -> Self {
        let service = Some(name.to_owned());
        Self { service, ..self }
    }

    /// Returns the project's identity in the protocol: the SHA-256 of the
    /// host's number, the path, and the service.
    pub(crate) fn identity(&self, home: &Home) -> Result<request::Project, Failure> {
        let host = host_id::of(&home.host_id);
        let host = host.map_err(|error| Failure::from_error(FailureKind::Store, &error))?;
        let mut hash = Sha256::new();
        hash.update(host);
        hash.update(self.source().as_os_str().as_encoded_bytes());
        if let Some(service) = &self.service {
            // A zero byte separates path and service: paths contain none.
            hash.update([0]);
            hash.update(service);
        }
        let hash = hash.finalize();
        Ok(request::Project {
            id: hash
                .iter()
                .fold(String::new(), |id, byte| format!("{id}{byte:02x}")),
            path: self.source().display().to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_folder_has_one_identity_however_it_is_spelled() {
        let folder = tempfile::tempdir().unwrap();
        let home = |name: &str| Home::below(&folder.path().join(name));
        let identity = |project: &Project, host: &str| project.identity(&home(host)).unwrap();
        let here = Project::find(Some(folder.path())).unwrap();
        let around = Project::find(Some(&folder.path().join("./."))).unwrap();
        assert_eq!(identity(&here, "host"), identity(&around, "host"));
        assert_ne!(identity(&here, "host"), identity(&here, "another"));
        assert_eq!(identity(&here, "host").id.len(), 64);
        let file = folder.path().join("file");
        fs_err::write(&file, "").unwrap();
        for wrong in [file, folder.path().join("missing")] {
            let error = Project::find(Some(&wrong)).unwrap_err();
            assert!(matches!(error, ProjectError::NotAFolder(_)), "{error}");
        }
    }
}
