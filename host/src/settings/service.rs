//! Reads `[services.NAME]`: the programs of a project that `locald up` runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use protocol::input::Signal;
use protocol::request::EnvVar;

use super::SettingsError;
use super::build_table::BuildTable;
use super::document::line_at;

mod command;
mod error;
mod health;
mod start_order;
mod table;

pub(crate) use command::ServiceCommand;
pub(crate) use error::ServiceError;
pub(crate) use health::{HealthCheck, Probe};
pub(crate) use start_order::levels;
pub(super) use table::ServiceTable;

use error::At;

/// A service: a program that `locald up` keeps running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    /// Letters, digits, `-` and `_`.
    pub(crate) name: String,
    pub(crate) kind: ServiceKind,
    pub(crate) origin: Origin,
    pub(crate) command: Option<ServiceCommand>,
    pub(crate) port: Option<u16>,
    pub(crate) env: Vec<EnvVar>,
    /// Names of services that must be healthy before this one starts.
    pub(crate) depends_on: Vec<String>,
    pub(crate) health: HealthCheck,
    /// Absent means the signal that the image names.
    pub(crate) stop_signal: Option<Signal>,
}

/// The kind of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceKind {
    /// A program that may listen on a port.
    Exec,
    /// A program without a port.
    Worker,
    /// A ready-made image.
    Container,
}

/// The origin of a service's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An image in a registry.
    Image(String),
    /// A build of the project's source.
    Source {
        /// The folder, relative to the project's. Absent means the project's
        /// folder.
        workdir: Option<PathBuf>,
        /// Build settings that differ from the project's `[build]`.
        build: Option<Box<BuildTable>>,
    },
}

/// The services of a project, by name.
pub(crate) type Services = BTreeMap<String, Service>;

/// Makes services of their tables. Checks that they are consistent.
pub(super) fn resolve(
    path: &Path,
    text: &str,
    tables: BTreeMap<String, toml::Spanned<ServiceTable>>,
) -> Result<Services, SettingsError> {
    resolve_all(tables).map_err(|at| SettingsError::Service {
        path: path.to_owned(),
        line: line_at(text, at.start),
        service: at.service,
        error: Box::new(at.error),
    })
}

fn resolve_all(tables: BTreeMap<String, toml::Spanned<ServiceTable>>) -> Result<Services, At> {
    let mut resolved = Vec::new();
    for (name, table) in tables {
        let start = table.span().start;
        let own = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
        if name.is_empty() || !name.chars().all(own) {
            return Err(At::new(start, &name, ServiceError::Name));
        }
        let places = Places::of(start, table.get_ref());
        resolved.push((table.into_inner().resolve(name, start)?, places));
    }
    check_ports(&resolved)?;
    check_dependencies(&resolved)?;
    let named = resolved
        .into_iter()
        .map(|(service, _)| (service.name.clone(), service));
    Ok(named.collect())
}

/// Byte offsets in the file, for errors about several services.
struct Places {
    start: usize,
    port: usize,
    dependencies: Vec<usize>,
}

impl Places {
    fn of(start: usize, table: &ServiceTable) -> Self {
        Self {
            start,
            port: table.port.as_ref().map_or(start, |port| port.span().start),
            dependencies: table
                .depends_on
                .iter()
                .map(|name| name.span().start)
                .collect(),
        }
    }
}

fn check_ports(services: &[(Service, Places)]) -> Result<(), At> {
    let mut taken: BTreeMap<u16, &str> = BTreeMap::new();
    for (service, places) in services {
        if let Some(port) = service.port
            && let Some(other) = taken.insert(port, &service.name)
        {
            let other = other.to_owned();
            let error = ServiceError::SamePort { port, other };
            return Err(At::new(places.port, &service.name, error));
        }
    }
    Ok(())
}

fn check_dependencies(services: &[(Service, Places)]) -> Result<(), At> {
    let known: Vec<String> = services.iter().map(|(it, _)| it.name.clone()).collect();
    let mut dependencies = BTreeMap::new();
    for (service, places) in services {
        for (wanted, place) in service.depends_on.iter().zip(&places.dependencies) {
            if !known.contains(wanted) {
                let error = ServiceError::UnknownDependency {
                    name: wanted.clone(),
                    known: known.clone(),
                };
                return Err(At::new(*place, &service.name, error));
            }
        }
        dependencies.insert(service.name.as_str(), &service.depends_on[..]);
    }
    levels(&dependencies).map(drop).map_err(|circle| {
        let first = circle.first().map_or("", String::as_str);
        let places = services.iter().find(|(it, _)| it.name == first);
        let start = places.map_or(0, |(_, places)| places.start);
        At::new(start, first, ServiceError::Circle(circle.clone()))
    })
}
