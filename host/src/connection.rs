//! The connection with an agent: its requests, what they need of this side, and
//! the ports that it forwards.

pub(crate) mod accounts;
pub(crate) mod agent;
pub(crate) mod attach;
pub(crate) mod forward;
pub(crate) mod request_stream;
pub(crate) mod session;
