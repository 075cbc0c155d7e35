//! Runs `locald vm reset`.

use protocol::{Failure, Reply, Request};

use super::super::confirm;
use super::{Subject, nothing};
use crate::cli::ResetOptions;
use crate::exit_code;
use crate::machine::{Kept, STATUS_TIMEOUT, disk_usage};
use crate::output::{Answer, Printer, bytes};

pub(super) async fn run(
    subject: &Subject,
    options: ResetOptions,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    if subject.machine.kept() == Kept::Nothing {
        return Err(nothing(subject, "locald keeps no machine for it"));
    }
    if !options.yes {
        for line in loss(subject, options).await {
            printer.note(&line);
        }
        confirm()?;
    }
    if options.keep_images || subject.machine.kept() == Kept::Agent {
        let agent = subject.machine.connect(printer).await?;
        let keep_images = options.keep_images;
        agent.ask(&Request::MachineClear { keep_images }).await?;
    }
    if !options.keep_images {
        subject.machine.remove().await?;
    }
    let machine = subject.name.clone();
    let kept_images = options.keep_images;
    printer.answer(&Answer::MachineReset {
        machine,
        kept_images,
    });
    Ok(exit_code::SUCCESS)
}

/// Describes what the user loses and what stays, one item each.
async fn loss(subject: &Subject, options: ResetOptions) -> Vec<String> {
    let agent = subject.machine.status().await.agent;
    let mut lines = Vec::new();
    let mut running = Vec::new();
    let mut sizes = None;
    if let Some(agent) = agent {
        let asked = async {
            let usage = agent.ask(&Request::MachineUsage).await;
            (usage, agent.ask(&Request::MachineStatus).await)
        };
        if let Ok((usage, status)) = tokio::time::timeout(STATUS_TIMEOUT, asked).await {
            if let Ok(Reply::Usage(usage)) = usage {
                sizes = Some(usage);
            }
            if let Ok(Reply::Machine(status)) = status {
                running = status.running;
            }
        }
    }
    let size = |size: Option<u64>| size.map_or(String::new(), |size| format!(" ({})", bytes(size)));
    let images = size(sizes.map(|it| it.blobs + it.layers));
    let projects = size(sizes.map(|it| it.projects));
    let name = &subject.name;
    if options.keep_images {
        lines.push(format!(
            "In {name}, caches and last builds of projects{projects} will be lost."
        ));
        lines.push(format!("Images{images} stay."));
    } else {
        lines.push(format!(
            "In {name}, all images{images}, caches and last builds of projects{projects} will be lost{}.",
            disk(subject)
        ));
    }
    lines.push("Your projects, settings and accounts stay.".to_owned());
    if !running.is_empty() {
        lines.push(format!("It still runs {}.", running.join(", ")));
    }
    lines
}

/// Describes the disk space of a stopped machine.
fn disk(subject: &Subject) -> String {
    let size = disk_usage(&*subject.machine);
    if size == 0 {
        String::new()
    } else {
        format!("; its disk takes {}", bytes(size))
    }
}
