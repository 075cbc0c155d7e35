//! `project.toml`, the buildpacks project's own descriptor: schema 0.1 with its
//! `[build]` table, and 0.2 with `[io.buildpacks]`. Other tables in it belong
//! to other programs.

use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{SettingsError, SourceFilter, document, variable};

/// What locald takes from the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Descriptor {
    pub(super) builder: Option<String>,
    pub(super) group: Vec<String>,
    pub(super) env: Vec<(variable::Name, variable::Value)>,
    pub(super) filter: SourceFilter,
    /// Of the tables that are read; as with pack, they do no harm.
    pub(super) unknown_keys: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    #[serde(rename = "_")]
    about: About,
    io: Io,
    build: OldTable,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct About {
    schema_version: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Io {
    buildpacks: Table,
}

/// `[io.buildpacks]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Table {
    builder: Option<String>,
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
    group: Vec<Member>,
    build: BuildTable,
    env: EnvTable,
    pre: Option<IgnoredAny>,
    post: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct BuildTable {
    env: Vec<Variable>,
}

/// The older spelling of `[[io.buildpacks.build.env]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct EnvTable {
    build: Vec<Variable>,
}

/// `[build]` of schema 0.1.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct OldTable {
    builder: Option<String>,
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
    buildpacks: Vec<Member>,
    env: Vec<Variable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Member {
    id: Option<String>,
    version: Option<String>,
    uri: Option<String>,
    script: Option<IgnoredAny>,
    exec_env: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Variable {
    name: variable::Name,
    value: variable::Value,
    #[serde(default)]
    exec_env: Vec<String>,
}

/// The execution environment of what locald builds.
const PRODUCTION: &str = "production";

/// Whether an entry counts in production, by its `exec-env`: without one, it
/// counts everywhere.
fn counts(exec_env: &[String]) -> bool {
    exec_env.is_empty() || exec_env.iter().any(|it| it == PRODUCTION || it == "*")
}

impl Descriptor {
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let (file, mut unknown): (File, _) = document::parse_foreign(path, text)?;
        let version = file.about.schema_version;
        let is_old = matches!(version.as_deref(), None | Some("0.1"));
        unknown.retain(|key: &String| {
            key.starts_with("io.buildpacks.") || (is_old && key.starts_with("build."))
        });
        let table = match version.as_deref() {
            None | Some("0.1") => from_old(file.build, file.io.buildpacks),
            Some("0.2" | "0.3") => file.io.buildpacks,
            Some(version) => {
                return Err(SettingsError::Schema {
                    path: path.to_owned(),
                    version: version.to_owned(),
                });
            }
        };
        Ok(Descriptor {
            unknown_keys: unknown,
            ..from_table(path, table)?
        })
    }
}

/// A file without a version may be meant as either.
fn from_old(old: OldTable, new: Table) -> Table {
    let mut group = old.buildpacks;
    group.extend(new.group);
    let mut env = old.env;
    env.extend(new.build.env);
    Table {
        builder: old.builder.or(new.builder),
        include: old.include.or(new.include),
        exclude: old.exclude.or(new.exclude),
        group,
        build: BuildTable { env },
        ..new
    }
}

fn from_table(path: &Path, table: Table) -> Result<Descriptor, SettingsError> {
    if table.pre.is_some() || table.post.is_some() {
        return Err(SettingsError::Unsupported {
            path: path.to_owned(),
            feature: "`pre` or `post` groups",
        });
    }
    let variables = table.env.build.into_iter().chain(table.build.env);
    let variables = variables.filter(|it| counts(&it.exec_env));
    let group = table.group.into_iter().filter(|it| counts(&it.exec_env));
    let members = group.map(|member| locate(path, member));
    Ok(Descriptor {
        builder: table.builder,
        group: members.collect::<Result<_, _>>()?,
        env: variables.map(|it| (it.name, it.value)).collect(),
        filter: filter(path, table.include, table.exclude)?,
        unknown_keys: Vec::new(),
    })
}

fn filter(
    path: &Path,
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
) -> Result<SourceFilter, SettingsError> {
    match (include, exclude) {
        (None, None) => Ok(SourceFilter::All),
        (Some(patterns), None) => Ok(SourceFilter::Include(patterns)),
        (None, Some(patterns)) => Ok(SourceFilter::Exclude(patterns)),
        (Some(_), Some(_)) => Err(SettingsError::IncludeAndExclude {
            path: path.to_owned(),
        }),
    }
}

fn locate(path: &Path, member: Member) -> Result<String, SettingsError> {
    let path = path.to_owned();
    if member.script.is_some() {
        let feature = "an inline buildpack";
        return Err(SettingsError::Unsupported { path, feature });
    }
    match (member.id, member.version, member.uri) {
        (Some(id), Some(version), None) => Ok(format!("{id}@{version}")),
        (Some(id), None, None) => Ok(id),
        // The id only says what is there.
        (_, None, Some(uri)) => Ok(uri),
        _ => Err(SettingsError::GroupEntry { path }),
    }
}
