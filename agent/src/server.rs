//! Accepts hosts, reads their requests, and calls the code that serves each.

pub mod handler;
pub mod join;
pub mod serve;
pub mod session;
