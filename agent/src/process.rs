//! Prepares what a container's program needs in addition to its container:
//! user, environment, certificate authorities, and a connection of its streams
//! and ports with the host.

pub(crate) mod attach;
pub(crate) mod ca_bundle;
pub(crate) mod environment;
pub(crate) mod ports;
pub(crate) mod user;
