//! `locald.toml` in a project's folder.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::registries::RegistryTable;
use super::{SettingsError, document};
use crate::cli::{NetworkChoice, PullChoice};

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ProjectFile {
    pub(super) project: ProjectTable,
    pub(super) build: BuildTable,
    pub(super) registries: BTreeMap<String, RegistryTable>,
}

/// `[project]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ProjectTable {
    pub(super) name: Option<String>,
}

/// `[build]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct BuildTable {
    pub(super) name: Option<String>,
    pub(super) builder: Option<String>,
    pub(super) buildpacks: Vec<String>,
    pub(super) embedded: Option<bool>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) run_image: Option<String>,
    pub(super) network: Option<NetworkChoice>,
    pub(super) pull: Option<PullChoice>,
    pub(super) default_process: Option<String>,
}

impl ProjectFile {
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let mut file: Self = document::parse(path, text)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for table in file.registries.values_mut() {
            table.resolve(folder);
        }
        Ok(file)
    }
}
