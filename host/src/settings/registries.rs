//! Reads `[registries."docker.io"]` tables, and the proxies of the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use protocol::request::{EnvVar, RegistrySettings};
use serde::Deserialize;

use super::SettingsError;
use crate::credential::RegistryKey;
use crate::platform::control_file;
use crate::project::{Boundary, BoundaryError};

/// A table of one registry.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RegistryTable {
    mirror: Option<String>,
    insecure: bool,
    /// A PEM file, relative to the settings file.
    ca: Option<PathBuf>,
}

impl RegistryTable {
    /// Makes relative paths absolute. They are relative to the settings file.
    pub(super) fn resolve(&mut self, folder: &Path) {
        self.ca = self.ca.take().map(|path| folder.join(path));
    }

    /// Returns the settings for the agent, and reads the file of certificates.
    /// A boundary limits where that file may be.
    fn settings(
        &self,
        name: &str,
        boundary: Option<&Boundary>,
    ) -> Result<RegistrySettings, SettingsError> {
        let read = |path: &PathBuf| {
            let unreadable = |source| SettingsError::Certificates {
                registry: name.to_owned(),
                path: path.clone(),
                source,
            };
            let found = match boundary.map(|it| it.find(Path::new(""), path)) {
                None => path.clone(),
                Some(Ok(found)) => found,
                Some(Err(BoundaryError::Unreadable { source, .. })) => {
                    return Err(unreadable(source));
                }
                Some(Err(outside)) => return Err(outside.into()),
            };
            let text = control_file::read(&found).and_then(control_file::text);
            text.map_err(unreadable)
        };
        Ok(RegistrySettings {
            name: name.to_owned(),
            mirror: self.mirror.clone(),
            insecure: self.insecure,
            ca: self.ca.as_ref().map(read).transpose()?,
        })
    }
}

/// The settings of all registries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registries {
    /// The settings for the agent.
    pub(crate) settings: Vec<RegistrySettings>,
    /// Registries and mirrors whose address or certificates a project's file
    /// sets. locald sends them no account, because a stranger may have written
    /// that file.
    pub(crate) redirected: BTreeSet<RegistryKey>,
}

impl Registries {
    /// Merges the tables. A table of the project replaces the user's table of
    /// the same name.
    pub(super) fn merge(
        user: &BTreeMap<String, RegistryTable>,
        project: &BTreeMap<String, RegistryTable>,
        boundary: &Boundary,
    ) -> Result<Self, SettingsError> {
        let users = user.iter().filter(|(name, _)| !project.contains_key(*name));
        let mut tables: BTreeMap<_, _> = users.map(|(name, it)| (name, (it, None))).collect();
        let own = project
            .iter()
            .map(|(name, it)| (name, (it, Some(boundary))));
        tables.extend(own);
        let settings = tables
            .iter()
            .map(|(name, (table, boundary))| table.settings(name, *boundary));
        let settings = settings.collect::<Result<Vec<_>, _>>()?;
        let redirected = settings
            .iter()
            .filter(|it| project.contains_key(&it.name))
            .flat_map(|it| [Some(&*it.name), it.mirror_name()])
            .flatten()
            .map(RegistryKey::new)
            .collect();
        Ok(Self {
            settings,
            redirected,
        })
    }
}

/// Returns the proxies under upper-case names. As in curl, a lower-case
/// variable takes precedence.
pub(super) fn proxies(lookup: impl Fn(&str) -> Option<String>) -> Vec<EnvVar> {
    let names = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];
    let find = |name: &str| {
        let value = lookup(&name.to_lowercase()).or_else(|| lookup(name));
        value.filter(|value| !value.is_empty())
    };
    let found = names.into_iter().filter_map(|name| {
        let value = find(name).or_else(|| find("ALL_PROXY").filter(|_| name != "NO_PROXY"))?;
        let name = name.to_owned();
        Some(EnvVar { name, value })
    });
    found.collect()
}
