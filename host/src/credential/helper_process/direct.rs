//! Runs helpers as children of this process, on systems where it enters no
//! namespace.

use std::io;

use super::HelperRequest;
use crate::credential::{self, HelperAnswer, HelperError};

/// No child is needed on this system.
#[derive(Debug)]
pub(super) struct Child;

impl Child {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "the same signature on each system"
    )]
    pub(super) fn start() -> io::Result<Self> {
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "the same signature on each system")]
    pub(super) fn ask(&self, request: &HelperRequest) -> Result<HelperAnswer, HelperError> {
        credential::ask(&request.helper, &request.server)
    }
}

/// This system has no child process to run. Returns false.
pub(crate) fn dispatch() -> bool {
    false
}
