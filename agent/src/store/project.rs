//! A project's own directory: its source, caches, and last build.

use std::path::{Path, PathBuf};

use super::{Lock, Store, StoreError, error};

/// A project's directory.
#[derive(Debug, Clone)]
pub struct ProjectDir {
    path: PathBuf,
    lock: PathBuf,
}

impl Store {
    /// The directory of a project, made when it is missing. The id must have
    /// been checked to be hexadecimal.
    pub fn project(&self, id: &str) -> Result<ProjectDir, StoreError> {
        let path = self.root().join("projects").join(id);
        error::create_dir_all(&path)?;
        let lock = self.lock_path(&format!("project-{id}.lock"));
        Ok(ProjectDir { path, lock })
    }
}

impl ProjectDir {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until no other build of the project runs; `on_wait` is called
    /// when there is one.
    pub async fn lock<E: From<StoreError>>(
        &self,
        on_wait: impl AsyncFnOnce() -> Result<(), E>,
    ) -> Result<Lock, E> {
        Lock::wait_exclusive(&self.lock, on_wait).await
    }
}
