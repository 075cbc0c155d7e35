//! `locald vm resize`.

use protocol::Failure;

use super::stop::{Stopped, stop};
use super::{Subject, nothing};
use crate::cli::{ResizeOptions, StopOptions};
use crate::exit_code;
use crate::printer::{Answer, Printer};
use crate::settings::Shape;

/// Less is not enough for a kernel and a build.
const LEAST_MEMORY: u64 = 256 << 20;

pub(super) async fn run(
    subject: &Subject,
    options: ResizeOptions,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    let Some(old) = subject.machine.shape() else {
        return Err(nothing(subject, "it has no size that locald could change"));
    };
    let shape = Shape {
        cpus: options.cpus.unwrap_or(old.cpus),
        memory: options.memory.map_or(old.memory, |size| size.0),
        disk: options.disk.map_or(old.disk, |size| size.0),
        ..old.clone()
    };
    if shape.memory < LEAST_MEMORY {
        let message = "a machine needs at least 256MiB of memory";
        return Err(Failure::new(protocol::FailureKind::Invalid, message));
    }
    subject.machine.resize(&shape)?;
    let finish = StopOptions {
        now: false,
        force: false,
    };
    let ran = !matches!(stop(subject, finish, printer).await?, Stopped::Already);
    let machine = subject.name.clone();
    printer.answer(&Answer::MachineResized { machine, shape });
    if ran {
        printer.note("The next command starts it again");
    }
    Ok(exit_code::SUCCESS)
}
