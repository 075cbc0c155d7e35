//! Keeps the directory of a project: its source, caches, and last build.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use protocol::{Failure, FailureKind};

use crate::crash::{self, Point};

use super::{Lock, Store, StoreError, error};

/// The file that records to which folder the directory belongs.
const FOLDER: &str = "folder-name";

/// The id of a project, and the name of its directory: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectId(String);

/// A text is not a valid project id.
#[derive(Debug, thiserror::Error)]
#[error("the project id {0:?} is malformed")]
pub struct MalformedProjectId(String);

impl FromStr for ProjectId {
    type Err = MalformedProjectId;

    fn from_str(text: &str) -> Result<Self, MalformedProjectId> {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(MalformedProjectId(text.to_owned()))
        }
    }
}

impl From<MalformedProjectId> for Failure {
    fn from(error: MalformedProjectId) -> Self {
        Self::from_error(FailureKind::Invalid, &error)
    }
}

/// A project's directory.
#[derive(Debug, Clone)]
pub struct ProjectDir {
    path: PathBuf,
    lock: PathBuf,
    folder_lock: PathBuf,
    store: Store,
}

impl Store {
    /// The directory of a project. Makes it if it is missing.
    pub fn project(&self, ProjectId(id): &ProjectId) -> Result<ProjectDir, StoreError> {
        let path = self.root().join("projects").join(id);
        error::create_dir_all(&path)?;
        Ok(self.project_dir(path, id))
    }

    /// The directories of all projects.
    pub fn projects(&self) -> Result<Vec<ProjectDir>, StoreError> {
        let parent = self.root().join("projects");
        let entries =
            fs_err::read_dir(&parent).map_err(|source| StoreError::io("list", &parent, source))?;
        let projects = entries.flatten().map(|entry| {
            let id = entry.file_name().to_string_lossy().into_owned();
            self.project_dir(entry.path(), &id)
        });
        Ok(projects.collect())
    }

    fn project_dir(&self, path: PathBuf, id: &str) -> ProjectDir {
        ProjectDir {
            path,
            lock: self.lock_path(&format!("project-{id}.lock")),
            folder_lock: self.lock_path(&format!("folder-{id}.lock")),
            store: self.clone(),
        }
    }
}

impl ProjectDir {
    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Records the folder to which the directory belongs, as the user knows it.
    pub fn note_folder(&self, folder: &str) -> Result<(), StoreError> {
        if self.folder().as_deref() == Some(folder) {
            return Ok(());
        }
        let note = self.path.join(FOLDER);
        fs_err::write(&note, folder).map_err(|source| StoreError::io("write", &note, source))
    }

    /// The folder to which the directory belongs; absent if it is not recorded.
    pub fn folder(&self) -> Option<String> {
        fs_err::read_to_string(self.path.join(FOLDER)).ok()
    }

    /// Removes the directory, unless a build of the project runs. Returns
    /// whether it is removed.
    pub fn remove(&self) -> Result<bool, StoreError> {
        let Some(_lock) = Lock::try_exclusive(&self.lock)? else {
            return Ok(false);
        };
        self.store.remove_whole(&self.path)?;
        crash::at(Point::ProjectRemoved);
        Ok(true)
    }

    /// Waits until no other process keeps the project's folder in step. Calls
    /// `on_wait` if it has to wait.
    pub async fn lock_folder<E: From<StoreError>>(
        &self,
        on_wait: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<Lock, E> {
        Lock::wait_exclusive(&self.folder_lock, on_wait).await
    }

    /// Waits until no other build of the project runs. Calls `on_wait` if it
    /// has to wait.
    pub async fn lock<E: From<StoreError>>(
        &self,
        on_wait: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<Lock, E> {
        Lock::wait_exclusive(&self.lock, on_wait).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_name_a_directory() {
        let good = "0a".repeat(32);
        assert_eq!(good.parse::<ProjectId>().ok(), Some(ProjectId(good)));
        let dots = format!("../{}", "a".repeat(61));
        for bad in ["", "0a", "..", &dots, &"g".repeat(64)] {
            assert!(bad.parse::<ProjectId>().is_err(), "{bad}");
        }
    }
}
