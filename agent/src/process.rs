//! Prepares the user, environment and certificate authorities of a container's
//! program, and connects its streams and ports with the host.

pub(crate) mod attach;
pub(crate) mod ca_bundle;
pub(crate) mod environment;
pub(crate) mod ports;
pub(crate) mod user;
