//! The folders of the host: configuration, saved accounts, logs, machines.

use std::path::{Path, PathBuf};

use directories::{BaseDirs, ProjectDirs};
use protocol::{Failure, FailureKind};

/// The paths of the host's own files and folders.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    /// The user's configuration.
    pub(crate) configuration: PathBuf,
    /// The accounts that `locald login` saved.
    pub(crate) accounts: PathBuf,
    /// The random number that identifies this host.
    pub(crate) host_id: PathBuf,
    /// Logs of builds.
    pub(crate) logs: PathBuf,
    /// Runtime folders of running services.
    pub(crate) services: PathBuf,
    /// Stored settings of projects.
    pub(crate) projects: PathBuf,
    /// Locks of folders that shells keep in step with a machine.
    pub(crate) folders: PathBuf,
    /// Virtual machines.
    pub(crate) machines: PathBuf,
    /// lima's folder. Its path must be short, because sockets are in it.
    pub(crate) lima: PathBuf,
    /// The agent's store, if the agent works in this process.
    pub(crate) data: PathBuf,
}

/// Neither `LOCALD_HOME` nor `HOME` is set.
#[derive(Debug, thiserror::Error)]
#[error("this user has no home directory")]
pub(crate) struct NoHome;

impl From<NoHome> for Failure {
    fn from(error: NoHome) -> Self {
        Self::from_error(FailureKind::Machine, &error)
            .with_hint("set HOME, or LOCALD_HOME to a folder for all that locald keeps")
    }
}

impl Home {
    /// Finds the folders: below `LOCALD_HOME` if it is set, or else the
    /// platform's usual folders.
    pub(crate) fn find() -> Result<Self, NoHome> {
        let own = std::env::var_os("LOCALD_HOME").filter(|home| !home.is_empty());
        own.map_or_else(Self::of_user, |home| {
            let home = std::path::absolute(&home).unwrap_or_else(|_| home.into());
            Ok(Self::below(&home))
        })
    }

    /// Puts all files and folders below one folder.
    pub(crate) fn below(home: &Path) -> Self {
        Self {
            configuration: home.join("config.toml"),
            accounts: home.join("auth.json"),
            host_id: home.join("host-id"),
            logs: home.join("logs"),
            services: home.join("services"),
            projects: home.join("projects"),
            folders: home.join("folders"),
            machines: home.join("machines"),
            lima: home.join("lima"),
            data: home.to_owned(),
        }
    }

    fn of_user() -> Result<Self, NoHome> {
        let folders = ProjectDirs::from("dev", "locald", "locald").ok_or(NoHome)?;
        let base = BaseDirs::new().ok_or(NoHome)?;
        let state = folders.state_dir().unwrap_or(folders.data_local_dir());
        Ok(Self {
            configuration: folders.config_dir().join("config.toml"),
            accounts: folders.config_dir().join("auth.json"),
            host_id: state.join("host-id"),
            logs: state.join("logs"),
            services: state.join("services"),
            projects: state.join("projects"),
            folders: state.join("folders"),
            machines: folders.data_local_dir().join("machines"),
            lima: base.home_dir().join(".locald/lima"),
            data: folders.data_dir().to_owned(),
        })
    }

    /// Returns the paths that a source cannot contain, without links.
    pub(crate) fn own(&self) -> Vec<PathBuf> {
        let own = [
            &self.accounts,
            &self.logs,
            &self.services,
            &self.folders,
            &self.machines,
            &self.lima,
            &self.data,
        ];
        let real = |path: &PathBuf| dunce::canonicalize(path).ok();
        own.into_iter().filter_map(real).collect()
    }
}
