//! Reads `project.toml`, the project descriptor of the Buildpacks
//! specification: schema 0.1 with its `[build]` table, and 0.2 with
//! `[io.buildpacks]`. It ignores tables of other programs.

mod tables;

use std::path::Path;

use super::inline::InlineBuildpack;
use super::{SettingsError, SourceFilter, document, variable};
use tables::{File, GroupMember, Table};

/// The settings of the file that locald uses.
#[derive(Debug, Clone, Default)]
pub(super) struct Descriptor {
    pub(super) builder: Option<String>,
    pub(super) group: Vec<Entry>,
    pub(super) pre: Vec<Entry>,
    pub(super) post: Vec<Entry>,
    pub(super) env: Vec<(variable::Name, variable::Value)>,
    pub(super) filter: SourceFilter,
    /// Unknown keys of tables that locald reads. As with pack, they are not
    /// errors.
    pub(super) unknown_keys: Vec<String>,
}

/// A buildpack in the file.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// A name as of `--buildpack`.
    Named(String),
    /// A script in the file.
    Inline(InlineBuildpack),
}

/// The list that contains a buildpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Group,
    /// `pre` or `post`. As with pack, an entry with a `uri` may also have a
    /// version there.
    Around,
}

/// The execution environment of the images that locald builds.
const PRODUCTION: &str = "production";

/// Whether an entry applies to production, by its `exec-env`. An empty list
/// applies to every environment.
fn counts(exec_env: &[String]) -> bool {
    exec_env.is_empty() || exec_env.iter().any(|it| it == PRODUCTION || it == "*")
}

impl Descriptor {
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, SettingsError> {
        let (file, mut unknown): (File, _) = document::parse_foreign(path, text)?;
        let version = file.about.schema_version;
        let is_old = matches!(version.as_deref(), None | Some("0.1"));
        unknown.retain(|key: &String| is_ours(key, is_old));
        let table = match version.as_deref() {
            None | Some("0.1") => file.build.with(file.io.buildpacks),
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

/// Whether a key belongs to a table that the schema defines.
fn is_ours(key: &str, is_old: bool) -> bool {
    let tables: &[&str] = if is_old {
        &["io.buildpacks.", "_.", "build.", "project."]
    } else {
        &["io.buildpacks.", "_."]
    };
    tables.iter().any(|table| key.starts_with(table))
}

fn from_table(path: &Path, table: Table) -> Result<Descriptor, SettingsError> {
    let variables = table.env.build.into_iter().chain(table.build.env);
    let variables = variables.filter(|it| counts(&it.exec_env));
    let entries = |members: Vec<GroupMember>, list| {
        let members = members.into_iter().filter(|it| counts(&it.exec_env));
        let entries = members.map(|member| entry(path, member, list));
        entries.collect::<Result<Vec<_>, _>>()
    };
    Ok(Descriptor {
        builder: table.builder,
        group: entries(table.group, List::Group)?,
        pre: entries(table.pre.group, List::Around)?,
        post: entries(table.post.group, List::Around)?,
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

fn entry(path: &Path, member: GroupMember, list: List) -> Result<Entry, SettingsError> {
    let GroupMember {
        id,
        version,
        uri,
        script,
        ..
    } = member;
    let text = |text: Option<String>| text.filter(|it| !it.is_empty());
    match (text(id), text(version), text(uri)) {
        (_, Some(_), Some(_)) if list == List::Group => Err(SettingsError::GroupEntry {
            path: path.to_owned(),
        }),
        // With a `uri`, the id is only a comment.
        (_, _, Some(uri)) => Ok(Entry::Named(uri)),
        (Some(id), version, None) if script.is_given() => {
            Ok(Entry::Inline(script.named(path, id, version)?))
        }
        (Some(id), Some(version), None) => Ok(Entry::Named(format!("{id}@{version}"))),
        (Some(id), None, None) => Ok(Entry::Named(id)),
        (None, _, None) => Err(SettingsError::GroupEntry {
            path: path.to_owned(),
        }),
    }
}
