//! Reads `[build]` of `locald.toml`, and the same table of a service.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::choice::{NetworkChoice, PullChoice};
use super::variable;

/// `[build]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct BuildTable {
    pub(super) name: Option<String>,
    pub(super) builder: Option<String>,
    pub(super) buildpacks: Vec<String>,
    pub(super) embedded: Option<bool>,
    pub(super) env: BTreeMap<variable::Name, variable::Value>,
    pub(super) run_image: Option<String>,
    pub(super) network: Option<NetworkChoice>,
    pub(super) pull: Option<PullChoice>,
    pub(super) default_process: Option<String>,
    /// Whether `.gitignore` files apply.
    pub(super) gitignore: Option<bool>,
}

impl BuildTable {
    /// Returns this table with the missing values of `base`, except its name.
    pub(super) fn over(&self, base: &Self) -> Self {
        let or = |own: &Option<String>, base: &Option<String>| own.clone().or_else(|| base.clone());
        let mut env = base.env.clone();
        env.extend(self.env.clone());
        let buildpacks = if self.buildpacks.is_empty() {
            &base.buildpacks
        } else {
            &self.buildpacks
        };
        Self {
            name: self.name.clone(),
            builder: or(&self.builder, &base.builder),
            buildpacks: buildpacks.clone(),
            embedded: self.embedded.or(base.embedded),
            env,
            run_image: or(&self.run_image, &base.run_image),
            network: self.network.or(base.network),
            pull: self.pull.or(base.pull),
            default_process: or(&self.default_process, &base.default_process),
            gitignore: self.gitignore.or(base.gitignore),
        }
    }
}
