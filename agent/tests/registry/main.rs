//! The registry client against registries that misbehave. Those are stand-ins,
//! since no real registry does what they do; the end-to-end tests use a real
//! one.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod access;
mod clock;
mod content;
mod faults;
mod fixture;
mod login;
mod secrets;
mod stand_in;
mod upload;
