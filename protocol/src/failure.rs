//! The failure of a request.

use bincode::{Decode, Encode};

/// Why a request failed: a message for people, and a class for scripts.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Failure {
    /// The class, from which the host makes its exit code.
    pub kind: FailureKind,
    /// Names the thing and what failed. Lower case, without a period.
    pub message: String,
    /// The causes, outermost first. None repeats the message.
    pub causes: Vec<String>,
    /// The next step for the user, as a command if there is one.
    pub hint: Option<String>,
}

impl Failure {
    /// Makes a failure without causes and hint.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
        }
    }

    /// Makes a failure from an error: its text becomes the message, its chain
    /// of sources the causes.
    pub fn from_error(kind: FailureKind, error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(error.source(), |cause| cause.source())
            .map(ToString::to_string)
            .collect();
        Self {
            kind,
            message: error.to_string(),
            causes,
            hint: None,
        }
    }

    /// Adds the next step.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The class of a failure. The host has one exit code for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum FailureKind {
    /// A bug, or an unexpected condition.
    Internal,
    /// The request is not valid: a reference, a name, or a value.
    Invalid,
    /// The image is neither in the store nor in the registry.
    NotFound,
    /// The registry demands other credentials (401, 403).
    Unauthorized,
    /// The registry does not answer, or answers with an error.
    Registry,
    /// Content does not match its digest or size, or is unsafe to unpack.
    Integrity,
    /// The image is for another operating system or architecture.
    Platform,
    /// The image cannot be used as a builder or run image.
    Builder,
    /// A lifecycle phase ended with this exit code.
    Lifecycle {
        /// The lifecycle's own exit code.
        code: u8,
    },
    /// The project's files cannot be used.
    Source,
    /// The store cannot be read or written.
    Store,
    /// A file system is full.
    DiskFull,
    /// The machine lacks something that containers need.
    Machine,
    /// A container could not be started.
    Container,
    /// The project has no build yet.
    NotBuilt,
    /// The user or the host ended the request.
    Cancelled,
    /// The agent does not know this kind of request, or does not serve it
    /// because locald did not make the machine.
    Unsupported,
}

/// Returns whether an error means that a file system or a quota is full.
pub fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    // An error to which a path was added has no code any more.
    matches!(error.kind(), StorageFull | QuotaExceeded)
}
