//! Lists what can fail between locald and a registry.

use protocol::{Failure, FailureKind};

use super::server::Server;
use super::timeout::TransportError;
use crate::images::reference::BadReference;
use crate::request::stream::HostGone;
use crate::store::StoreError;
use crate::store::layer::LayerError;

/// A registry, or what it sent, is of no use.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The registry's settings cannot be used.
    #[error("the settings of registry {registry} cannot be used")]
    Settings {
        /// As people write it.
        registry: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer, after all attempts.
    #[error("{server} does not answer")]
    Unreachable {
        /// The server that did not answer, or answered so.
        server: Server,
        /// The cause.
        #[source]
        source: TransportError,
    },
    /// An answer that is an error, after all attempts.
    #[error("{server} answered {status} to {what}{}", detail(message))]
    Status {
        /// The server that did not answer, or answered so.
        server: Server,
        /// HTTP status.
        status: u16,
        /// What was asked.
        what: String,
        /// What the registry says about it.
        message: String,
    },
    /// 401 or 403.
    #[error("registry {registry} refuses access to {what}{}", detail(message))]
    Unauthorized {
        /// As people write it.
        registry: String,
        /// What was asked.
        what: String,
        /// What the registry says about it.
        message: String,
    },
    /// The token server that the registry has named is of no use.
    #[error("registry {registry} names the token server {server:?}, {reason}")]
    TokenServer {
        /// As people write it.
        registry: String,
        /// What the registry says.
        server: String,
        /// Why it is not asked, or what is wrong with its answer.
        reason: String,
    },
    /// 404
    #[error("there is no {what} in registry {registry}")]
    NotFound {
        /// As people write it.
        registry: String,
        /// What was asked.
        what: String,
    },
    /// An answer that breaks the protocol.
    #[error("registry {registry} gave an unusable answer to {what}: {reason}")]
    Protocol {
        /// As people write it.
        registry: String,
        /// What was asked.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// No image for this machine.
    #[error("{image} is for {available}, not for {wanted}")]
    Platform {
        /// Familiar name.
        image: String,
        /// What there is.
        available: String,
        /// What this machine is.
        wanted: String,
    },
    /// The store lacks the image, and the registry may not be asked.
    #[error("{0} is not in the store, and the pull policy is `never`")]
    NotStored(String),
    /// A layer is of no use.
    #[error("layer {digest} of {image} is of no use")]
    Layer {
        /// Familiar name.
        image: String,
        /// Digest of the blob.
        digest: String,
        /// The cause.
        #[source]
        source: LayerError,
    },
    /// What came is not what was announced, or cannot be stored.
    #[error("{what} is of no use")]
    Content {
        /// What was fetched.
        what: String,
        /// The cause.
        #[source]
        source: StoreError,
    },
    /// The store has failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A name in a document is no reference.
    #[error(transparent)]
    Reference(#[from] BadReference),
    /// The request is over.
    #[error(transparent)]
    HostGone(#[from] HostGone),
}

fn detail(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(" ({message})")
    }
}

impl RegistryError {
    /// Whether the registry could not be asked at all.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            _ => false,
        }
    }

    /// Whether the same image may be had under another name: it cannot be read
    /// under this one. Registries hide by 404 what an account may not see.
    pub fn is_unreadable(&self) -> bool {
        match self {
            Self::Unauthorized { .. }
            | Self::TokenServer { .. }
            | Self::NotFound { .. }
            | Self::NotStored(_)
            | Self::Status {
                status: 401 | 403, ..
            } => true,
            error => error.is_unreachable(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unauthorized { registry, .. } => Some(format!("`locald login {registry}`")),
            Self::Unreachable { source, server } => {
                Some(unreachable_hint(source, server.registry()))
            }
            Self::NotFound { .. } => Some("check the image's name and tag".to_owned()),
            Self::NotStored(image) => Some(format!("`locald pull {image}`")),
            Self::Status { status: 429, .. } => {
                Some("the registry limits requests: log in, or try again later".to_owned())
            }
            _ => None,
        }
    }
}

fn unreachable_hint(error: &TransportError, registry: &str) -> String {
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        text += &error.to_string();
        cause = error.source();
    }
    if text.contains("certificate") && (text.contains("expired") || text.contains("not valid yet"))
    {
        "its certificate is not valid today: check this machine's clock".to_owned()
    } else if text.contains("certificate") || text.contains("InvalidContentType") {
        format!(
            "set `ca` (its certificate authority) or `insecure = true` (plain HTTP) in [registries.\"{registry}\"]"
        )
    } else {
        "check the registry's name, the network and the proxy variables".to_owned()
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let kind = match &error {
            RegistryError::Settings { .. } => FailureKind::Invalid,
            RegistryError::Unreachable { .. }
            | RegistryError::Status { .. }
            | RegistryError::Protocol { .. } => FailureKind::Registry,
            RegistryError::Unauthorized { .. } | RegistryError::TokenServer { .. } => {
                FailureKind::Unauthorized
            }
            RegistryError::NotFound { .. } | RegistryError::NotStored(_) => FailureKind::NotFound,
            RegistryError::Platform { .. } => FailureKind::Platform,
            RegistryError::Layer { .. } | RegistryError::Content { .. } => FailureKind::Integrity,
            RegistryError::HostGone(_) => FailureKind::Cancelled,
            RegistryError::Store(_) | RegistryError::Reference(_) => FailureKind::Store,
        };
        let hint = error.hint();
        match error {
            RegistryError::Store(error) => error.into(),
            RegistryError::Reference(error) => error.into(),
            error => {
                let mut failure = Self::from_error(full_or(kind, &error), &error);
                failure.hint = hint;
                failure
            }
        }
    }
}

/// A full file system is the reason to name, wherever it shows itself.
fn full_or(kind: FailureKind, error: &RegistryError) -> FailureKind {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(protocol::is_full) {
            return FailureKind::DiskFull;
        }
        cause = error.source();
    }
    kind
}
