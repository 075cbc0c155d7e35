//! Starts the lima machine, and reports its steps.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::error::{LimaError, is_of_kvm};
use super::limactl::{Instance, Limactl, message, reason};
use super::{Lima, NO_KVM, template};
use crate::machine::step::Steps;
use crate::output::Printer;

/// The time limit of a start. It includes the download of the guest's image.
const START: Duration = Duration::from_mins(15);
/// The number of log lines that a failure shows.
const TAIL: usize = 10;
/// Messages of limactl at the end of a step, and the name of the step.
const STEPS: [(&str, &str); 4] = [
    ("SSH Local Port", "instance"),
    ("requirement 1 of 3 is satisfied", "kernel and ssh"),
    ("Guest agent is running", "lima's agent"),
    ("READY", "boot scripts"),
];

/// Starts the instance from any state.
pub(super) async fn ensure_running(
    limactl: &Limactl,
    machine: &Lima,
    printer: &mut Printer,
) -> Result<(), LimaError> {
    let instance = limactl.instance().await?;
    match instance.as_ref().map(|instance| instance.status.as_str()) {
        Some("Running") if machine.ssh().find_status().await.agent.is_some() => return Ok(()),
        Some("Running") => {
            printer.note("The machine does not answer: locald starts it again");
            limactl.stop_at_once().await?;
        }
        Some("Stopped") | None => {}
        Some("Installing" | "") => {
            printer.note("The machine is incomplete: locald makes it again");
            limactl.delete().await?;
            return start(limactl, machine, None, printer).await;
        }
        Some(_) => {
            printer.note("The machine has crashed: locald starts it again");
            limactl.stop_at_once().await?;
        }
    }
    start(limactl, machine, instance, printer).await
}

/// Starts the instance. If QEMU cannot use KVM, starts it again without KVM.
async fn start(
    limactl: &Limactl,
    machine: &Lima,
    existing: Option<Instance>,
    printer: &mut Printer,
) -> Result<(), LimaError> {
    match boot(limactl, machine, existing, printer).await {
        Err(error) if limactl.may_use_kvm() && error.is_of_kvm() => {
            printer.note("KVM does not work here: QEMU emulates the machine, which is slower");
            fs_err::write(machine.home.join(NO_KVM), "").map_err(LimaError::Folder)?;
            let limactl = machine.limactl().await?;
            limactl.stop_at_once().await?;
            let existing = limactl.instance().await?;
            boot(&limactl, machine, existing, printer).await
        }
        started => started,
    }
}

async fn boot(
    limactl: &Limactl,
    machine: &Lima,
    existing: Option<Instance>,
    printer: &mut Printer,
) -> Result<(), LimaError> {
    let shape = &machine.shape;
    printer.note(&format!(
        "Starting the machine (lima {}): {} processors, {} MiB of memory",
        limactl.version,
        shape.cpus,
        shape.memory >> 20
    ));
    let template = match existing {
        Some(instance) => resize(limactl, machine, &instance).await.map(|()| None)?,
        None => Some(write_template(machine)?),
    };
    let mut command = limactl.start(template.as_deref(), START);
    let mut child = command.spawn().map_err(LimaError::Program)?;
    let Some(said) = child.stderr.take() else {
        return Ok(());
    };
    let mut lines = BufReader::new(said).lines();
    let (mut all, mut steps) = (Vec::new(), Steps::begin());
    while let Ok(Some(line)) = lines.next_line().await {
        let text = message(&line);
        if let Some((_, name)) = STEPS.iter().find(|(words, _)| text.contains(words)) {
            steps.end(name, printer);
        }
        all.push(line);
    }
    let status = child.wait().await.map_err(LimaError::Program)?;
    if status.success() {
        return steps.save(&machine.steps()).map_err(LimaError::Folder);
    }
    Err(failed(machine, &all))
}

/// Sets the size of an instance to the configured size.
async fn resize(limactl: &Limactl, machine: &Lima, instance: &Instance) -> Result<(), LimaError> {
    let shape = &machine.shape;
    let is = (instance.cpus, instance.memory);
    // A disk can only grow.
    if is == (shape.cpus, shape.memory) && instance.disk >= shape.disk {
        return Ok(());
    }
    let disk = shape.disk.max(instance.disk);
    limactl.edit(shape.cpus, shape.memory, disk).await
}

fn write_template(machine: &Lima) -> Result<PathBuf, LimaError> {
    fs_err::create_dir_all(&machine.home).map_err(LimaError::Folder)?;
    let path = machine.home.join("template.yaml");
    let text = template::template(&machine.shape, &Lima::shared());
    fs_err::write(&path, text).map_err(LimaError::Folder)?;
    Ok(path)
}

/// Makes the error of a failed start. limactl reports only that the driver
/// ended; the log of lima's host agent has the reason.
fn failed(machine: &Lima, said: &[String]) -> LimaError {
    let log = fs_err::read_to_string(machine.instance_folder().join("ha.stderr.log"));
    let log = log.unwrap_or_default();
    let lines: Vec<String> = log.lines().map(message).collect();
    let kvm = lines.iter().find(|line| is_of_kvm(line));
    LimaError::Start {
        reason: kvm.cloned().unwrap_or_else(|| reason(&said.join("\n"))),
        log: lines[lines.len().saturating_sub(TAIL)..].to_vec(),
    }
}
