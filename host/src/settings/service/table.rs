//! The table of a service, as written.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use protocol::input::Signal;
use protocol::request::EnvVar;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use toml::Spanned;

use super::command::ServiceCommand;
use super::error::{At, ServiceError};
use super::health::HealthTable;
use super::{Origin, Service, ServiceKind};
use crate::settings::build_table::BuildTable;

/// `[services.NAME]`, as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::settings) struct ServiceTable {
    #[serde(rename = "type")]
    kind: Option<Spanned<String>>,
    build: Option<Spanned<BuildChoice>>,
    image: Option<String>,
    command: Option<Spanned<ServiceCommand>>,
    workdir: Option<PathBuf>,
    pub(super) port: Option<Spanned<i64>>,
    env: BTreeMap<Spanned<String>, Spanned<String>>,
    pub(super) depends_on: Vec<Spanned<String>>,
    health_check: Option<Spanned<HealthTable>>,
    stop_signal: Option<Spanned<String>>,
}

/// `build`: a table, or whether the service has a build at all.
#[derive(Debug, Clone)]
enum BuildChoice {
    Switch(bool),
    Table(Box<BuildTable>),
}

impl ServiceTable {
    /// Makes a service of the table. `start` is the byte offset of the table.
    pub(super) fn resolve(self, name: String, start: usize) -> Result<Service, At> {
        let at = |place: usize| {
            let name = name.clone();
            move |error| At::new(place, &name, error)
        };
        let kind = kind(self.kind.as_ref(), self.image.is_some())
            .map_err(at(self.kind.as_ref().map_or(start, place)))?;
        let port_place = self.port.as_ref().map_or(start, place);
        let port = port(self.port, kind).map_err(at(port_place))?;
        let build_place = self.build.as_ref().map_or(start, place);
        let origin = origin(self.image, self.workdir, self.build).map_err(at(build_place))?;
        let command_place = self.command.as_ref().map_or(start, place);
        let command = self.command.map(|command| command.into_inner().checked());
        let health_place = self.health_check.as_ref().map_or(start, place);
        let health = self.health_check.map(Spanned::into_inner);
        let signal_place = self.stop_signal.as_ref().map_or(start, place);
        Ok(Service {
            kind,
            origin,
            command: command.transpose().map_err(at(command_place))?,
            port,
            env: variables(self.env).map_err(|(error, place)| at(place)(error))?,
            depends_on: self
                .depends_on
                .into_iter()
                .map(Spanned::into_inner)
                .collect(),
            health: health
                .unwrap_or_default()
                .resolve(port)
                .map_err(at(health_place))?,
            stop_signal: signal(self.stop_signal.as_ref()).map_err(at(signal_place))?,
            name,
        })
    }
}

fn place<T>(value: &Spanned<T>) -> usize {
    value.span().start
}

fn kind(written: Option<&Spanned<String>>, has_image: bool) -> Result<ServiceKind, ServiceError> {
    let Some(written) = written else {
        return Ok(if has_image {
            ServiceKind::Container
        } else {
            ServiceKind::Exec
        });
    };
    match (written.get_ref().as_str(), has_image) {
        ("worker", _) => Ok(ServiceKind::Worker),
        ("container", false) => Err(ServiceError::NoImage),
        ("container", true) => Ok(ServiceKind::Container),
        ("exec", false) => Ok(ServiceKind::Exec),
        ("exec", true) => Err(ServiceError::ImageAnd("type = \"exec\"")),
        (known @ ("postgres" | "site"), _) => Err(ServiceError::Type(known.to_owned())),
        (unknown, _) => Err(ServiceError::UnknownType(unknown.to_owned())),
    }
}

fn port(written: Option<Spanned<i64>>, kind: ServiceKind) -> Result<Option<u16>, ServiceError> {
    let Some(number) = written.map(Spanned::into_inner) else {
        return Ok(None);
    };
    if kind == ServiceKind::Worker {
        return Err(ServiceError::WorkerPort);
    }
    match u16::try_from(number) {
        Ok(port) if port > 0 => Ok(Some(port)),
        _ => Err(ServiceError::Port(number)),
    }
}

fn origin(
    image: Option<String>,
    workdir: Option<PathBuf>,
    build: Option<Spanned<BuildChoice>>,
) -> Result<Origin, ServiceError> {
    let build = build.map(Spanned::into_inner);
    let Some(image) = image else {
        let build = match build {
            Some(BuildChoice::Switch(false)) => return Err(ServiceError::NothingToRun),
            Some(BuildChoice::Switch(true)) | None => None,
            Some(BuildChoice::Table(table)) => {
                Some(table).filter(|table| **table != BuildTable::default())
            }
        };
        return Ok(Origin::Source { workdir, build });
    };
    match build {
        Some(BuildChoice::Table(_) | BuildChoice::Switch(true)) => {
            Err(ServiceError::ImageAnd("build"))
        }
        _ if workdir.is_some() => Err(ServiceError::ImageAnd("workdir")),
        _ => Ok(Origin::Image(image)),
    }
}

/// Checks the variables. The error has the byte offset of the first invalid
/// one.
fn variables(
    env: BTreeMap<Spanned<String>, Spanned<String>>,
) -> Result<Vec<EnvVar>, (ServiceError, usize)> {
    let variable = |(name, value): (Spanned<String>, Spanned<String>)| {
        let place = place(&name);
        let (name, value) = (name.into_inner(), value.into_inner());
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err((ServiceError::Variable(name), place));
        }
        Ok(EnvVar { name, value })
    };
    env.into_iter().map(variable).collect()
}

fn signal(written: Option<&Spanned<String>>) -> Result<Option<Signal>, ServiceError> {
    let Some(text) = written.map(Spanned::get_ref) else {
        return Ok(None);
    };
    Ok(Some(match text.strip_prefix("SIG").unwrap_or(text) {
        "TERM" => Signal::Terminate,
        "INT" => Signal::Interrupt,
        "QUIT" => Signal::Quit,
        "HUP" => Signal::Hangup,
        "USR1" => Signal::User1,
        "USR2" => Signal::User2,
        "KILL" => Signal::Kill,
        _ => return Err(ServiceError::Signal(text.clone())),
    }))
}

impl<'de> Deserialize<'de> for BuildChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EitherForm)
    }
}

struct EitherForm;

impl<'de> Visitor<'de> for EitherForm {
    type Value = BuildChoice;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("true or a table")
    }

    fn visit_bool<E>(self, switch: bool) -> Result<BuildChoice, E> {
        Ok(BuildChoice::Switch(switch))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<BuildChoice, A::Error> {
        let table = BuildTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(BuildChoice::Table(Box::new(table)))
    }
}
