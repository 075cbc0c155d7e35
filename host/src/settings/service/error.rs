//! The errors of a service's settings.

use crate::settings::suggestion::nearest;

/// Valid values of `stop_signal`.
pub(super) const SIGNALS: [&str; 7] = ["TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL"];

/// What is wrong with a service. The text follows the service's name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    #[error("has a name with other characters than letters, digits, `-` and `_`")]
    Name,
    #[error("has port {0}: ports are 1 to 65535")]
    Port(i64),
    #[error("has port {port}, as `{other}` has")]
    SamePort { port: u16, other: String },
    #[error("is a worker and has a port")]
    WorkerPort,
    #[error("has the type `{0}`, which locald does not support")]
    Type(String),
    #[error("has the unknown type `{0}`")]
    UnknownType(String),
    #[error("is a container without `image`")]
    NoImage,
    #[error("has both `image` and `{0}`")]
    ImageAnd(&'static str),
    #[error("has `build = false` and no `image`")]
    NothingToRun,
    #[error("depends on `{name}`, which is not a service of this file")]
    UnknownDependency { name: String, known: Vec<String> },
    #[error("depends on itself: {}", .0.join(" needs "))]
    Circle(Vec<String>),
    #[error("has the health check {0:?}, which locald does not know")]
    Health(String),
    #[error("has a health check by `http` and by `command`")]
    TwoHealthChecks,
    #[error("has a health check that needs a port, and no port")]
    HealthPort,
    #[error("has an empty command")]
    Command,
    #[error("has {text:?} for `{key}`, which is not a valid duration")]
    Time { key: &'static str, text: String },
    #[error("has the stop signal {0:?}, which locald does not know")]
    Signal(String),
    #[error("has the variable {0:?}, which is not a valid name")]
    Variable(String),
}

impl ServiceError {
    pub(in crate::settings) fn hint(&self) -> Option<String> {
        let told = match self {
            Self::Port(_) | Self::Name | Self::NothingToRun | Self::Command => return None,
            Self::SamePort { .. } => {
                "all services share the machine's ports: give it another one".to_owned()
            }
            Self::WorkerPort => "leave `port` out, or `type`".to_owned(),
            Self::Type(_) => {
                "start it from a ready-made image: `image = \"…\"`, with its `port`".to_owned()
            }
            Self::UnknownType(_) => "types are exec, worker, container".to_owned(),
            Self::NoImage => "name one, or leave `type` out to build the source".to_owned(),
            Self::ImageAnd(_) => {
                "a ready-made image is not built: leave one of them out".to_owned()
            }
            Self::UnknownDependency { name, known } => match nearest(name, known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("known here: {}", known.join(", ")),
            },
            Self::Circle(_) => "leave one of these dependencies out".to_owned(),
            Self::Health(_) => {
                "write a path (\"/health\"), \"tcp\", or { command = \"…\" }".to_owned()
            }
            Self::TwoHealthChecks => "leave one of them out".to_owned(),
            Self::HealthPort => "give it a `port`, or check it by { command = \"…\" }".to_owned(),
            Self::Time { .. } => "write \"500ms\", \"10s\" or \"2m\"".to_owned(),
            Self::Signal(_) => format!("known are {}", SIGNALS.join(", ")),
            Self::Variable(_) => "a name has neither `=` nor a zero byte".to_owned(),
        };
        Some(told)
    }
}

/// An error, and the byte offset in the file that it is about.
#[derive(Debug)]
pub(super) struct At {
    pub(super) start: usize,
    pub(super) service: String,
    pub(super) error: ServiceError,
}

impl At {
    pub(super) fn new(start: usize, service: &str, error: ServiceError) -> Self {
        Self {
            start,
            service: service.to_owned(),
            error,
        }
    }
}
