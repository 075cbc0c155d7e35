//! Only Linux has QEMU machines: elsewhere there is no value of the type.

use std::future::Ready;
use std::path::PathBuf;

use protocol::event::Check;
use protocol::{Failure, FailureKind};

use super::Status;
use crate::connection::agent::AgentConnection;
use crate::output::Printer;
use crate::platform::home::Home;
use crate::settings::Shape;

/// There is none.
#[derive(Debug)]
pub(crate) enum Qemu {}

/// There is no hidden task.
pub(super) fn dispatch() -> bool {
    false
}

impl Qemu {
    pub(super) fn new(_shape: Shape, _home: &Home) -> Result<Self, Failure> {
        let message = "machines of QEMU work on Linux only";
        Err(Failure::new(FailureKind::Machine, message)
            .with_hint("`--machine auto` is the usual one of this system"))
    }

    pub(super) fn connect(
        &self,
        _printer: &mut Printer,
    ) -> Ready<Result<AgentConnection, Failure>> {
        match *self {}
    }

    pub(super) fn status(&self) -> Ready<Status> {
        match *self {}
    }

    pub(super) fn stopped(&self) -> Ready<Result<(), Failure>> {
        match *self {}
    }

    pub(super) fn kill(&self) -> Ready<Result<(), Failure>> {
        match *self {}
    }

    pub(super) fn remove(&self) -> Ready<Result<(), Failure>> {
        match *self {}
    }

    pub(super) fn shape(&self) -> &Shape {
        match *self {}
    }

    pub(super) fn resize(&self, _shape: &Shape) -> Result<(), Failure> {
        match *self {}
    }

    pub(super) fn disk(&self) -> PathBuf {
        match *self {}
    }

    pub(super) fn logs(&self) -> Vec<PathBuf> {
        match *self {}
    }

    pub(super) fn doctor(&self) -> Vec<Check> {
        match *self {}
    }
}
