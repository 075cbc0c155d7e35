//! Only Linux has QEMU machines.

use std::path::PathBuf;

use protocol::event::Check;
use protocol::{Failure, FailureKind};

use super::{Look, State};
use crate::agent::Agent;
use crate::home::Home;
use crate::printer::Printer;
use crate::settings::Shape;

/// There is none.
#[derive(Debug)]
pub(crate) struct Qemu {
    shape: Shape,
}

/// There is no hidden task.
pub(super) fn dispatch() -> bool {
    false
}

fn not_here() -> Failure {
    Failure::new(FailureKind::Machine, "machines of QEMU work on Linux only")
        .with_hint("`--machine ssh://HOST` uses a Linux machine")
}

impl Qemu {
    pub(super) fn new(shape: Shape, _home: &Home) -> Self {
        Self { shape }
    }

    pub(super) async fn connect(&self, _printer: &mut Printer) -> Result<Agent, Failure> {
        Err(not_here())
    }

    pub(super) async fn look(&self) -> Look {
        Look::without_agent(State::Absent, Some(not_here()))
    }

    pub(super) async fn stopped(&self) -> Result<(), Failure> {
        Err(not_here())
    }

    pub(super) async fn kill(&self) -> Result<(), Failure> {
        Err(not_here())
    }

    pub(super) async fn remove(&self) -> Result<(), Failure> {
        Err(not_here())
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(super) fn resize(&self, _shape: &Shape) -> Result<(), Failure> {
        Err(not_here())
    }

    pub(super) fn disk_usage(&self) -> u64 {
        0
    }

    pub(super) fn logs(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    pub(super) fn doctor(&self) -> Vec<Check> {
        Vec::new()
    }
}
