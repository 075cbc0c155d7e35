//! Reads `config.toml`, the user's settings for all projects.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::choice::{NetworkChoice, PullChoice};
use super::machine::MachineTable;
use super::registries::RegistryTable;
use super::{SettingsError, document};

/// The content of `config.toml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct UserFile {
    pub(super) build: UserBuildTable,
    pub(super) registries: BTreeMap<String, RegistryTable>,
    pub(super) machine: MachineTable,
    pub(super) trust: TrustTable,
}

/// `[trust]`: paths outside a project that its files may name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TrustTable {
    /// Folders outside the project.
    pub(super) folders: Vec<PathBuf>,
}

/// `[build]`: only keys that are useful for all projects.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct UserBuildTable {
    pub(super) builder: Option<String>,
    pub(super) embedded: Option<bool>,
    pub(super) network: Option<NetworkChoice>,
    pub(super) pull: Option<PullChoice>,
}

impl UserFile {
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let mut file: Self = document::parse(path, text)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for table in file.registries.values_mut() {
            table.resolve(folder);
        }
        file.machine.resolve(folder);
        for trusted in &mut file.trust.folders {
            *trusted = folder.join(&*trusted);
        }
        Ok(file)
    }
}
