//! Runs `locald store` and `locald prune`.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;

use protocol::event::{PrunedItem, Repair, StoreFault, Verified};
use protocol::request::PruneRequest;
use protocol::{Event, Failure, Reply, Request};

use super::{Start, ask, block_on, confirm, unexpected};
use crate::cli::{PruneOptions, StoreCommand, StoreOptions, VerifyOptions};
use crate::connection::request_stream::Incoming;
use crate::connection::session::Session;
use crate::exit_code;
use crate::output::{Answer, Printer, bytes};
use crate::settings::MachineKind;

pub(super) fn run(
    options: &StoreOptions,
    machine: Option<&MachineKind>,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    match options.command {
        None => usage(machine, printer),
        Some(StoreCommand::Verify(options)) => verify(options, machine, printer),
    }
}

fn usage(machine: Option<&MachineKind>, printer: &mut Printer) -> Result<u8, Failure> {
    let setup = Start::here(machine, printer)?.setup;
    match ask(setup, printer, |_| Request::StoreUsage)? {
        Reply::StoreUsage(usage) => printer.answer(&Answer::StoreUsage(usage)),
        reply => return Err(unexpected(&reply)),
    }
    Ok(exit_code::SUCCESS)
}

fn verify(
    options: VerifyOptions,
    machine: Option<&MachineKind>,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    let setup = Start::here(machine, printer)?.setup;
    let remain = block_on(async {
        let session = setup.connect(printer).await?;
        let (mut faults, mut verified) = look(&session, printer, options.repair).await?;
        let lost = lost_images(&faults);
        let asks = !options.yes && std::io::stdin().is_terminal();
        if lost.is_empty() || !(options.yes || asks) {
            printer.answer(&Answer::Verified { faults, verified });
            return Ok(verified.faults > 0);
        }
        if asks {
            let (faults, verified) = (faults.clone(), verified);
            printer.answer(&Answer::Verified { faults, verified });
            printer.note(&format!(
                "Only without {} can the rest be mended",
                lost.join(", ")
            ));
            confirm()?;
        }
        let request = Request::ImageRemove { images: lost };
        session.request(&request, printer).await?.reply().await?;
        give_up(&mut faults, &mut verified);
        printer.answer(&Answer::Verified { faults, verified });
        Ok(verified.faults > 0)
    })?;
    Ok(if remain {
        exit_code::INTEGRITY
    } else {
        exit_code::SUCCESS
    })
}

async fn look(
    session: &Session,
    printer: &mut Printer,
    repair: bool,
) -> Result<(Vec<StoreFault>, Verified), Failure> {
    let repair = repair.then(|| session.access.clone());
    let request = Request::StoreVerify { repair };
    let mut stream = session.request(&request, printer).await?;
    let mut faults: Vec<StoreFault> = Vec::new();
    loop {
        match stream.next().await? {
            Incoming::Event(Event::Fault(fault)) => faults.push(fault),
            Incoming::Event(_) | Incoming::Data(..) => {}
            Incoming::Reply(Reply::Verified(verified)) => return Ok((faults, verified)),
            Incoming::Reply(reply) => return Err(unexpected(&reply)),
        }
    }
}

/// Returns the images to give up, so that a repair can remove damaged content.
fn lost_images(faults: &[StoreFault]) -> Vec<String> {
    let refused = faults.iter().filter(|fault| is_refused(fault));
    let images: BTreeSet<&String> = refused.flat_map(|fault| &fault.images).collect();
    images.into_iter().cloned().collect()
}

fn is_refused(fault: &StoreFault) -> bool {
    matches!(fault.repair, Some(Repair::Refused { .. }))
}

/// Records that these images, and the faults that they had, are gone.
fn give_up(faults: &mut [StoreFault], verified: &mut Verified) {
    for fault in faults {
        if let Some(Repair::Refused { reason }) = &fault.repair {
            let reason = reason.clone();
            fault.repair = Some(Repair::Lost { reason });
            verified.faults -= 1;
        }
    }
}

pub(super) fn prune(
    options: PruneOptions,
    machine: Option<&MachineKind>,
    printer: &mut Printer,
) -> Result<u8, Failure> {
    let setup = Start::here(machine, printer)?.setup;
    let request = |dry_run| PruneRequest {
        dry_run,
        unused_seconds: options.unused_for.map(|age| age.seconds),
        keep_bytes: options.keep.map(|size| size.0),
    };
    let told = |(items, bytes), dry_run| Answer::Pruned {
        items,
        bytes,
        dry_run,
    };
    block_on(async {
        let session = setup.connect(printer).await?;
        if options.dry_run || options.yes {
            let removed = remove(&session, printer, request(options.dry_run)).await?;
            printer.answer(&told(removed, options.dry_run));
            return Ok(exit_code::SUCCESS);
        }
        let found = remove(&session, printer, request(true)).await?;
        let nothing = found.0.is_empty();
        printer.answer(&told(found, true));
        if !nothing {
            confirm()?;
            let (_, freed) = remove(&session, printer, request(false)).await?;
            printer.note(&format!("Freed {}", bytes(freed)));
        }
        Ok(exit_code::SUCCESS)
    })
}

async fn remove(
    session: &Session,
    printer: &mut Printer,
    request: PruneRequest,
) -> Result<(Vec<PrunedItem>, u64), Failure> {
    let request = Request::StorePrune(request);
    let mut stream = session.request(&request, printer).await?;
    let mut items = Vec::new();
    loop {
        match stream.next().await? {
            Incoming::Event(Event::Pruned(item)) => items.push(item),
            Incoming::Event(_) | Incoming::Data(..) => {}
            Incoming::Reply(Reply::PrunedBytes(bytes)) => return Ok((items, bytes)),
            Incoming::Reply(reply) => return Err(unexpected(&reply)),
        }
    }
}
