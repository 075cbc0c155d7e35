//! How a request fails.

use bincode::{Decode, Encode};

/// Why a request failed, as people and scripts need it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Failure {
    /// What the exit code is made from.
    pub kind: FailureKind,
    /// What failed, naming the thing; no period.
    pub message: String,
    /// The chain of causes, outermost first.
    pub causes: Vec<String>,
    /// The next step for the user.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without causes and hint.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
        }
    }

    /// A failure from an error and its chain of sources.
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

    /// The same failure with its next step.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Classes of failures; the host makes its exit code from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum FailureKind {
    /// A bug, or something that nobody thought of.
    Internal,
    /// The request itself is wrong: a bad reference, a bad name.
    Invalid,
    /// No such image, in the store or in the registry.
    NotFound,
    /// The registry wants other credentials (401, 403).
    Unauthorized,
    /// The registry does not answer, or answers with an error.
    Registry,
    /// Content is not what its digest or size says, or is unsafe to unpack.
    Integrity,
    /// The image is for another operating system or architecture.
    Platform,
    /// The image is no usable builder or run image.
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
    /// There is no build to start from.
    NotBuilt,
    /// The user or the host ended the request.
    Cancelled,
    /// The peer does not know this kind of message.
    Unsupported,
}

/// Whether an error says that a file system or a quota is exhausted.
pub fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    // Its code is out of reach where a path has been added to the error.
    matches!(error.kind(), StorageFull | QuotaExceeded)
}
