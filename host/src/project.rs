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

/// A project's folder, or an archive of one.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    /// Absolute, without links; an archive's, the one that it is in.
    pub(crate) folder: PathBuf,
    /// The archive that is the source, in the same way.
    pub(crate) archive: Option<PathBuf>,
    /// The current folder is somewhere below it.
    is_above: bool,
    /// The service whose build is another one than the folder's own.
    service: Option<String>,
}

/// What can be done with an archive.
const ARCHIVES: &str =
    "`locald build` and `locald run` take an archive, without `--watch`; unpack it for all else";

/// There is no such project.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProjectError {
    /// The folder is not there, or is a file.
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// An archive is there instead.
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
    /// The folder, or else the project that the current one belongs to.
    pub(crate) fn find(named: Option<&Path>) -> Result<Self, ProjectError> {
        let project = Self::find_source(named)?;
        match project.archive {
            None => Ok(project),
            Some(archive) if is_archive(&archive) => Err(ProjectError::NoFolderButArchive(archive)),
            Some(file) => Err(ProjectError::NotAFolder(file)),
        }
    }

    /// The same, except that it may also be an archive.
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

    /// The folder, or the archive.
    pub(crate) fn source(&self) -> &Path {
        self.archive.as_deref().unwrap_or(&self.folder)
    }

    /// The path whose last part the image is called by.
    pub(crate) fn named_after(&self) -> PathBuf {
        match &self.archive {
            Some(archive) => archive.with_extension(""),
            None => self.folder.clone(),
        }
    }

    /// Whether the current folder is somewhere below it.
    pub(crate) const fn is_above(&self) -> bool {
        self.is_above
    }

    /// Whether the folder holds the user's whole home: nobody means that.
    pub(crate) fn is_whole_home(&self) -> bool {
        let home = directories::BaseDirs::new();
        let home = home.and_then(|it| dunce::canonicalize(it.home_dir()).ok());
        self.archive.is_none() && boundary::holds_home(&self.folder, home.as_deref())
    }

    /// The same folder, as a service builds it: with caches of its own.
    pub(crate) fn of_service(self, name: &str) -> Self {
        let service = Some(name.to_owned());
        Self { service, ..self }
    }

    /// The folder as the protocol names it: SHA-256 over the host and its path.
    pub(crate) fn identity(&self, home: &Home) -> Result<request::Project, Failure> {
        let host = host_id::of(&home.host_id);
        let host = host.map_err(|error| Failure::from_error(FailureKind::Store, &error))?;
        let mut hash = Sha256::new();
        hash.update(host);
        hash.update(self.source().as_os_str().as_encoded_bytes());
        if let Some(service) = &self.service {
            // No path has a zero byte.
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
