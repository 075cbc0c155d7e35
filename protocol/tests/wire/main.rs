//! The wire: byte by byte, and against a hostile peer.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod golden;
mod hostile;
mod samples;
