//! Parses `health_check` of a service.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::command::ServiceCommand;
use super::error::ServiceError;

/// The default pause between two probes.
const INTERVAL: Duration = Duration::from_millis(100);
/// The default time within which a service must become healthy.
const TIMEOUT: Duration = Duration::from_mins(1);

/// How locald finds out whether a service is healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HealthCheck {
    pub(crate) probe: Probe,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

/// A probe of a service. It succeeds if:
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Probe {
    /// The process runs.
    Started,
    /// The port accepts a connection.
    Tcp { port: u16 },
    /// The answer to an HTTP request for the path has a status from 200 to 399.
    Http { port: u16, path: String },
    /// A command in a container of the same image ends with 0.
    Command(ServiceCommand),
}

impl HealthCheck {
    /// Returns the check that only needs a running process.
    pub(crate) const fn started() -> Self {
        Self {
            probe: Probe::Started,
            interval: INTERVAL,
            timeout: TIMEOUT,
        }
    }
}

/// `health_check` as written: `"tcp"` and `"/path"` are short forms.
#[derive(Debug, Clone, Default)]
pub(in crate::settings) struct HealthTable {
    short: Option<String>,
    long: LongForm,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LongForm {
    http: Option<String>,
    command: Option<ServiceCommand>,
    interval: Option<String>,
    timeout: Option<String>,
}

impl HealthTable {
    pub(super) fn resolve(self, port: Option<u16>) -> Result<HealthCheck, ServiceError> {
        let LongForm {
            http,
            command,
            interval,
            timeout,
        } = self.long;
        let probe = match (self.short.as_deref(), http, command) {
            (Some("tcp"), ..) => Probe::Tcp {
                port: needed(port)?,
            },
            (Some(path), ..) if path.starts_with('/') => http_probe(path.to_owned(), port)?,
            (Some(text), ..) => return Err(ServiceError::Health(text.to_owned())),
            (None, Some(_), Some(_)) => return Err(ServiceError::TwoHealthChecks),
            (None, Some(path), None) if path.starts_with('/') => http_probe(path, port)?,
            (None, Some(text), None) => return Err(ServiceError::Health(text)),
            (None, None, Some(command)) => Probe::Command(command.checked()?),
            (None, None, None) => port.map_or(Probe::Started, |port| Probe::Tcp { port }),
        };
        Ok(HealthCheck {
            probe,
            interval: time("interval", interval)?.unwrap_or(INTERVAL),
            timeout: time("timeout", timeout)?.unwrap_or(TIMEOUT),
        })
    }
}

fn http_probe(path: String, port: Option<u16>) -> Result<Probe, ServiceError> {
    if path.contains(|character: char| character.is_control() || character == ' ') {
        return Err(ServiceError::Health(path));
    }
    Ok(Probe::Http {
        port: needed(port)?,
        path,
    })
}

fn needed(port: Option<u16>) -> Result<u16, ServiceError> {
    port.ok_or(ServiceError::HealthPort)
}

/// Parses a time greater than zero.
fn time(key: &'static str, text: Option<String>) -> Result<Option<Duration>, ServiceError> {
    let Some(text) = text else {
        return Ok(None);
    };
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    let time = parsed.and_then(|time| Duration::try_from(time).ok());
    match time.filter(|time| !time.is_zero()) {
        Some(time) => Ok(Some(time)),
        None => Err(ServiceError::Time { key, text }),
    }
}

impl<'de> Deserialize<'de> for HealthTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EitherForm)
    }
}

struct EitherForm;

impl<'de> Visitor<'de> for EitherForm {
    type Value = HealthTable;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a path, \"tcp\", or a table")
    }

    fn visit_str<E>(self, text: &str) -> Result<HealthTable, E> {
        let short = Some(text.to_owned());
        let long = LongForm::default();
        Ok(HealthTable { short, long })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HealthTable, A::Error> {
        let long = LongForm::deserialize(MapAccessDeserializer::new(map))?;
        Ok(HealthTable { short: None, long })
    }
}
