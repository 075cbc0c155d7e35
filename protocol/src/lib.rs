//! The wire between the locald host and its agent.
//!
//! A connection is a byte stream. Both sides first exchange a fixed [`Hello`];
//! after it the stream carries yamux, and each yamux stream is one request:
//! the host sends a [`Request`] and then [`Input`]s and data, the agent sends
//! [`Event`]s and data, and ends with one [`Outcome`]. Closing the stream
//! cancels the request.
//!
//! Each side treats the other as hostile: every length is checked before
//! anything is allocated, every message must decode exactly, and what is not
//! known is answered by a typed [`Unsupported`](FrameError::Unsupported).

pub mod build_id;
mod connection;
pub mod event;
pub mod failure;
pub mod folder;
pub mod frame;
pub mod hello;
pub mod input;
pub mod request;
mod short;
pub mod source;
mod stream;
pub mod variable;

pub use connection::{Broken, Connection, OPENED};
pub use event::{Event, Outcome, Reply};
pub use failure::{Failure, FailureKind, is_full};
pub use frame::{Frame, FrameError};
pub use input::Input;
pub use request::Request;
pub use stream::Stream;
pub use variable::{BadVariableName, BuildVariable, VariableName};

/// The most bytes that an encoded message may have.
pub const CONTROL_CAP: usize = 64 * 1024;
/// The most bytes that a data frame may have.
pub const DATA_CAP: usize = 1024 * 1024;
/// Small writes are gathered up to this many bytes.
pub const GATHERED: usize = 64 * 1024;

/// What a data frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Standard input of a container.
    Stdin,
    /// Standard output of a container or a phase.
    Stdout,
    /// Standard error of a container or a phase.
    Stderr,
    /// Files, documents.
    Bulk,
}
