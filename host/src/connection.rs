//! The connection with one agent. `session` sends requests over `agent`, and
//! each request has a `request_stream`. `accounts` answers the agent's
//! questions for credentials; `attach` and `forward` carry the terminal and the
//! ports of a process.

pub(crate) mod accounts;
pub(crate) mod agent;
pub(crate) mod attach;
pub(crate) mod forward;
pub(crate) mod request_stream;
pub(crate) mod session;
