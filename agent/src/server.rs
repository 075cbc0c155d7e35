//! The server: it accepts hosts, reads their requests, and has each request
//! served.

pub mod handler;
pub mod join;
pub mod serve;
pub mod session;
