//! Runs `locald vm resize`.

use protocol::Failure;

use super::stop::{Stopped, stop};
use super::{Subject, nothing};
use crate::cli::{ResizeOptions, StopOptions};
use crate::exit_code;
use crate::output::{Answer, Printer, bytes};
use crate::settings::Shape;

/// The minimum memory for a kernel and a build, in bytes.
const LEAST_MEMORY: u64 = 256 << 20;

/// A restart lets running work finish.
const FINISH: StopOptions = StopOptions {
    now: false,
    force: false,
};

pub(super) async fn run(
    subject: &Subject,
    options: ResizeOptions,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    if subject.machine.resizes_disk_alone() {
        let size = disk_alone(options)?;
        stop(subject, FINISH, printer).await?;
        subject.machine.resize_disk(size).await?;
        printer.note(&format!(
            "The disk of {} may grow to {}",
            subject.name,
            bytes(size)
        ));
        return Ok(exit_code::SUCCESS);
    }
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
    let ran = !matches!(stop(subject, FINISH, printer).await?, Stopped::Already);
    let machine = subject.name.clone();
    printer.answer(&Answer::MachineResized { machine, shape });
    if ran {
        printer.note("The next command starts it again");
    }
    Ok(exit_code::SUCCESS)
}

/// Returns the new disk size in bytes. WSL2 has one setting of processors and
/// memory for all distributions, so locald refuses those.
fn disk_alone(options: ResizeOptions) -> Result<u64, Failure> {
    if options.cpus.is_some() || options.memory.is_some() {
        let message = "processors and memory of WSL2 belong to all distributions together";
        let failure = Failure::new(protocol::FailureKind::Invalid, message);
        return Err(failure.with_hint("set them in .wslconfig; `--disk` is the machine's own"));
    }
    options.disk.map(|size| size.0).ok_or_else(|| {
        let failure = Failure::new(protocol::FailureKind::Invalid, "no size is given");
        failure.with_hint("`locald vm resize --disk 200GiB`")
    })
}
