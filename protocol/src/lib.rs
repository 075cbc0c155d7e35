//! The protocol between the locald host and its agent.
//!
//! # Layers
//!
//! 1. A connection is a byte stream: a socket, a pipe, or an in-memory duplex.
//! 2. Both sides exchange one fixed message each ([`hello`]).
//! 3. After that, the byte stream carries yamux ([`Connection`]). The host opens
//!    a [`Stream`] for each request.
//! 4. A stream carries frames ([`frame`]): messages, and bytes of a
//!    [`Channel`].
//!
//! # One request
//!
//! The host sends a [`Request`], and then [`Input`]s and data. The agent sends
//! [`Event`]s and data. Its last message is [`Event::Outcome`]: a [`Reply`], or
//! a [`Failure`]. If the host closes the stream before that, the agent cancels
//! the request.
//!
//! | request | host sends | agent sends | reply |
//! |---|---|---|---|
//! | [`AgentStatus`](Request::AgentStatus) | | | [`Status`](Reply::Status) |
//! | [`Build`](Request::Build) | `SourceEntries`, `SourceListed`, `SourceFile` with [`Bulk`], `SourceLost` | `SourceWanted`, `SourceComplete`, `PhaseStarted`, `PhaseEnded`, `Push`, [`Stdout`], [`Stderr`] | [`Built`](Reply::Built) |
//! | [`Run`](Request::Run), [`Shell`](Request::Shell), [`Console`](Request::Console) | `StdinClosed`, `Resize`, `Signal`, `Stop`, `WatchPorts`, [`Stdin`] | `Started`, `PortOpened`, `PortClosed`, [`Stdout`], [`Stderr`] | [`Exited`](Reply::Exited) |
//! | [`ImageList`](Request::ImageList) | | `Image` for each reference | [`Nothing`](Reply::Nothing) |
//! | [`ImageInspect`](Request::ImageInspect) | | `Document` with [`Bulk`]: `manifest`, then `config` | [`Digest`](Reply::Digest) |
//! | [`ImageTag`](Request::ImageTag) | | | [`Digest`](Reply::Digest) |
//! | [`ImageRemove`](Request::ImageRemove) | | | [`Removed`](Reply::Removed) |
//! | [`ImageExport`](Request::ImageExport) | | `File` with [`Bulk`], for each file | [`Digest`](Reply::Digest) |
//! | [`Pull`](Request::Pull) | | | [`Digest`](Reply::Digest) |
//! | [`Push`](Request::Push) | | `Push` | [`Digest`](Reply::Digest) |
//! | [`Doctor`](Request::Doctor) | | `Check` for each probe | [`Nothing`](Reply::Nothing) |
//! | [`Forward`](Request::Forward) | [`Bulk`], `EndOfData` | `Started`, [`Bulk`], `EndOfData` | [`Nothing`](Reply::Nothing) |
//! | [`Folder`](Request::Folder) | `SourceEntries`, `SourceListed`, `SourceFile` with [`Bulk`], `SourceLost`, `Folder` | `Folder`, [`Bulk`] | [`Nothing`](Reply::Nothing) |
//! | [`StoreUsage`](Request::StoreUsage) | | | [`StoreUsage`](Reply::StoreUsage) |
//! | [`StoreVerify`](Request::StoreVerify) | | `Fault` for each fault | [`Verified`](Reply::Verified) |
//! | [`StorePrune`](Request::StorePrune) | | `Pruned` for each item | [`PrunedBytes`](Reply::PrunedBytes) |
//! | [`MachineStatus`](Request::MachineStatus) | | | [`Machine`](Reply::Machine) |
//! | [`MachineUsage`](Request::MachineUsage) | | | [`Usage`](Reply::Usage) |
//! | [`MachineTrim`](Request::MachineTrim) | | | [`Trimmed`](Reply::Trimmed) |
//! | [`MachineStop`](Request::MachineStop), [`MachineClear`](Request::MachineClear), [`SetClock`](Request::SetClock) | | | [`Nothing`](Reply::Nothing) |
//!
//! In addition, every request may cause [`Event::Warning`] and
//! [`Event::Waiting`]. A request with a
//! [`RegistryAccess`](request::RegistryAccess) may cause [`Event::Pull`], and
//! [`Event::CredentialWanted`], which the host answers with
//! [`Input::Credential`].
//!
//! # Trust
//!
//! Each side treats the other as hostile. It checks each length before it
//! allocates memory. Each message must decode exactly. If the first message of
//! a stream is not a request that the agent knows, the agent replies with
//! [`FailureKind::Unsupported`].
//!
//! [`Stdin`]: Channel::Stdin
//! [`Stdout`]: Channel::Stdout
//! [`Stderr`]: Channel::Stderr
//! [`Bulk`]: Channel::Bulk

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

/// The line that an agent prints once it listens. A machine's console shows it.
pub const AGENT_LISTENS: &str = "locald: the agent listens";
/// The maximum length of an encoded message, in bytes.
pub const CONTROL_CAP: usize = 64 * 1024;
/// The maximum length of a data frame's payload, in bytes.
pub const DATA_CAP: usize = 1024 * 1024;
/// The size of the buffer that gathers small writes, in bytes.
pub const GATHERED: usize = 64 * 1024;

/// What the bytes of a data frame belong to.
///
/// The agent accepts [`Stdin`](Self::Stdin) and [`Bulk`](Self::Bulk) only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Standard input of the container's process.
    Stdin,
    /// Standard output of the container's process, or of a lifecycle phase.
    /// With a terminal, all output.
    Stdout,
    /// Standard error of the container's process, or of a lifecycle phase.
    Stderr,
    /// Contents of files and documents, and data of forwarded connections.
    Bulk,
}
