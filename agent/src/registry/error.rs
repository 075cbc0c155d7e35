//! Defines the errors between locald and a registry.

use protocol::{Failure, FailureKind};

use super::server::Server;
use super::timeout::TransportError;
use crate::images::reference::BadReference;
use crate::request::stream::HostGone;
use crate::store::StoreError;
use crate::store::layer::LayerError;

/// A transfer from or to a registry failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The registry's settings are not valid.
    #[error("the settings of registry {registry} cannot be used")]
    Settings {
        /// The registry, as people write it.
        registry: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server did not answer any attempt.
    #[error("{server} does not answer")]
    Unreachable {
        /// The server that did not answer.
        server: Server,
        /// The cause.
        #[source]
        source: TransportError,
    },
    /// The server answered the last attempt with an error.
    #[error("{server} answered {status} to {what}{}", detail(message))]
    Status {
        /// The server that answered.
        server: Server,
        /// HTTP status.
        status: u16,
        /// The requested object, or the operation.
        what: String,
        /// The registry's message; may be empty.
        message: String,
    },
    /// The registry answered 401 or 403.
    #[error("registry {registry} refuses access to {what}{}", detail(message))]
    Unauthorized {
        /// The registry, as people write it.
        registry: String,
        /// The requested object.
        what: String,
        /// The registry's message; may be empty.
        message: String,
    },
    /// locald cannot use the token server that the registry names.
    #[error("registry {registry} names the token server {server:?}, {reason}")]
    TokenServer {
        /// The registry, as people write it.
        registry: String,
        /// The address of the token server, as the registry wrote it.
        server: String,
        /// Why locald does not ask the server, or the fault of its response.
        reason: String,
    },
    /// The registry answered 404.
    #[error("there is no {what} in registry {registry}")]
    NotFound {
        /// The registry, as people write it.
        registry: String,
        /// The requested object.
        what: String,
    },
    /// The response violates the protocol.
    #[error("registry {registry} gave an unusable answer to {what}: {reason}")]
    Protocol {
        /// The registry, as people write it.
        registry: String,
        /// The requested object, or the operation.
        what: String,
        /// The fault, as a clause.
        reason: String,
    },
    /// No variant of the image fits this machine.
    #[error("{image} is for {available}, not for {wanted}")]
    Platform {
        /// Familiar name.
        image: String,
        /// The platforms of the image.
        available: String,
        /// The platform of this machine.
        wanted: String,
    },
    /// The store lacks the image, and the pull policy forbids to ask the
    /// registry.
    #[error("{0} is not in the store, and the pull policy is `never`")]
    NotStored(String),
    /// A layer is damaged or cannot be extracted.
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
    /// The content is not the announced one, or the store cannot take it.
    #[error("{what} is of no use")]
    Content {
        /// The fetched object.
        what: String,
        /// The cause.
        #[source]
        source: StoreError,
    },
    /// An operation of the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A name in a document is not a valid reference.
    #[error(transparent)]
    Reference(#[from] BadReference),
    /// The host has ended the request.
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
    /// Whether the registry did not answer, or is unavailable: status 429, or
    /// 500 and above.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            _ => false,
        }
    }

    /// Whether the image cannot be read under this name, so that a mirror may
    /// still have it. Registries answer 404 for images that an account may not
    /// read.
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

/// `DiskFull` if a full file system is the cause, else `kind`.
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
