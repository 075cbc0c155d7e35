//! QEMU machines work on Linux only. On other systems the type has no values.

use std::fmt;

use protocol::{Failure, FailureKind};

use super::{Machine, Pending, Status};
use crate::connection::agent::AgentConnection;
use crate::output::Printer;
use crate::platform::home::Home;
use crate::settings::Shape;

/// A type without values.
#[derive(Debug)]
pub(crate) enum Qemu {}

/// This system has no supervisor.
pub(super) fn dispatch() -> bool {
    false
}

impl Qemu {
    pub(super) fn new(_shape: Shape, _home: &Home) -> Result<Self, Failure> {
        let message = "machines of QEMU work on Linux only";
        Err(Failure::new(FailureKind::Machine, message)
            .with_hint("`--machine auto` is the usual one of this system"))
    }
}

impl Machine for Qemu {
    fn connect<'a>(
        &'a self,
        _printer: &'a mut Printer,
    ) -> Pending<'a, Result<AgentConnection, Failure>> {
        match *self {}
    }

    fn status(&self) -> Pending<'_, Status> {
        match *self {}
    }
}

impl fmt::Display for Qemu {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}
