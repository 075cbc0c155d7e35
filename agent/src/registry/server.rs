//! Names the server that answered or failed to answer: the registry, its token
//! server, or the target of a redirect.

use std::fmt;

/// A server that a request went to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// The registry, as people write it.
    Registry(String),
    /// A token server.
    Token {
        /// Its host.
        host: String,
        /// The registry that named it.
        registry: String,
    },
    /// The target of a redirect, or of the address of an upload.
    Elsewhere {
        /// Its host.
        host: String,
        /// The registry that leads there.
        registry: String,
    },
}

impl Server {
    /// The registry whose settings and account apply.
    pub(super) fn registry(&self) -> &str {
        match self {
            Self::Registry(registry)
            | Self::Token { registry, .. }
            | Self::Elsewhere { registry, .. } => registry,
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(registry) => write!(f, "registry {registry}"),
            Self::Token { host, registry } => {
                write!(f, "token server {host} of registry {registry}")
            }
            Self::Elsewhere { host, registry } => {
                write!(f, "server {host}, to which registry {registry} leads,")
            }
        }
    }
}
