//! Reads `locald.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::build_table::BuildTable;
use super::registries::RegistryTable;
use super::service::{self, ServiceTable, Services};
use super::{SettingsError, document};

/// The content of `locald.toml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ProjectFile {
    pub(super) project: ProjectTable,
    pub(super) build: BuildTable,
    pub(super) registries: BTreeMap<String, RegistryTable>,
    #[serde(rename = "services")]
    tables: BTreeMap<String, toml::Spanned<ServiceTable>>,
    #[serde(skip)]
    pub(super) services: Services,
}

/// `[project]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ProjectTable {
    pub(super) name: Option<String>,
}

impl ProjectFile {
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let mut file: Self = document::parse(path, text)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for table in file.registries.values_mut() {
            table.resolve(folder);
        }
        file.services = service::resolve(path, text, std::mem::take(&mut file.tables))?;
        Ok(file)
    }
}
