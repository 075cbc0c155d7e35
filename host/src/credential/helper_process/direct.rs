//! Runs helpers as children of this process, on systems where it enters no
//! namespace.

use std::io;

use super::HelperRequest;
use crate::credential::{self, HelperAnswer, HelperError};

/// Nobody else is needed.
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

/// There is no hidden task.
pub(crate) fn dispatch() -> bool {
    false
}
