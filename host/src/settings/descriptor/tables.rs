//! The tables of a `project.toml`, as written.

use serde::Deserialize;
use toml::Value;

use crate::settings::inline::Script;
use crate::settings::variable;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct File {
    #[serde(rename = "_")]
    pub(super) about: About,
    pub(super) io: Io,
    pub(super) build: OldTable,
    /// The table of schema 0.1.
    #[serde(rename = "project")]
    _project: About,
}

/// `[_]`. locald knows the keys for other programs, and does not use them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct About {
    pub(super) schema_version: Option<String>,
    #[serde(rename = "id")]
    _id: Option<Value>,
    #[serde(rename = "name")]
    _name: Option<Value>,
    #[serde(rename = "version")]
    _version: Option<Value>,
    #[serde(rename = "authors")]
    _authors: Option<Value>,
    #[serde(rename = "licenses")]
    _licenses: Option<Value>,
    #[serde(rename = "documentation-url")]
    _documentation_url: Option<Value>,
    #[serde(rename = "source-url")]
    _source_url: Option<Value>,
    #[serde(rename = "metadata")]
    _metadata: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Io {
    pub(super) buildpacks: Table,
}

/// `[io.buildpacks]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Table {
    pub(super) builder: Option<String>,
    pub(super) include: Option<Vec<String>>,
    pub(super) exclude: Option<Vec<String>>,
    pub(super) group: Vec<GroupMember>,
    pub(super) pre: Around,
    pub(super) post: Around,
    pub(super) build: IoBuildTable,
    pub(super) env: EnvTable,
}

/// `[[io.buildpacks.pre.group]]`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Around {
    pub(super) group: Vec<GroupMember>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct IoBuildTable {
    pub(super) env: Vec<Variable>,
}

/// The older form of `[[io.buildpacks.build.env]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct EnvTable {
    pub(super) build: Vec<Variable>,
}

/// `[build]` of schema 0.1.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct OldTable {
    builder: Option<String>,
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
    buildpacks: Vec<GroupMember>,
    pre: Around,
    post: Around,
    env: Vec<Variable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct GroupMember {
    pub(super) id: Option<String>,
    pub(super) version: Option<String>,
    pub(super) uri: Option<String>,
    pub(super) script: Script,
    pub(super) exec_env: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Variable {
    pub(super) name: variable::Name,
    pub(super) value: variable::Value,
    #[serde(default)]
    pub(super) exec_env: Vec<String>,
}

impl OldTable {
    /// Merges both tables: a file without a version may use either.
    pub(super) fn with(self, new: Table) -> Table {
        let both = |mut old: Vec<GroupMember>, new: Vec<GroupMember>| {
            old.extend(new);
            old
        };
        let around = |old: Around, new: Around| Around {
            group: both(old.group, new.group),
        };
        let mut env = self.env;
        env.extend(new.build.env);
        Table {
            builder: self.builder.or(new.builder),
            include: self.include.or(new.include),
            exclude: self.exclude.or(new.exclude),
            group: both(self.buildpacks, new.group),
            pre: around(self.pre, new.pre),
            post: around(self.post, new.post),
            build: IoBuildTable { env },
            env: new.env,
        }
    }
}
