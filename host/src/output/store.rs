//! Formats the results of `locald store` and `locald prune`.

use protocol::event::{PrunedItem, PrunedKind, Repair, StoreFault, StoreUsage, Verified};
use serde_json::{Value, json};

use super::images::role;
use super::measure::{age, bytes, counted, now};
use super::sanitise::clean;
use super::table::table;

pub(super) fn usage_lines(usage: &StoreUsage) -> Vec<String> {
    let cells = |cells: [String; 4]| cells.to_vec();
    let mut rows = vec![cells(
        ["IMAGE", "KIND", "SIZE", "ITS OWN"].map(str::to_owned),
    )];
    rows.extend(usage.images.iter().map(|image| {
        cells([
            clean(&image.name),
            role(image.role).to_owned(),
            bytes(image.bytes),
            bytes(image.own),
        ])
    }));
    let mut lines = table(&rows);
    let mut rows = vec![cells(
        ["PROJECT", "SOURCE", "CACHES", "USED"].map(str::to_owned),
    )];
    rows.extend(usage.projects.iter().map(|project| {
        cells([
            folder(&project.folder),
            bytes(project.source),
            bytes(project.caches),
            since(project.used),
        ])
    }));
    lines.push(String::new());
    lines.extend(table(&rows));
    lines.push(String::new());
    if usage.unreferenced > 0 {
        let size = bytes(usage.unreferenced);
        lines.push(format!("No image needs {size}: `locald prune` removes it."));
    }
    if usage.temporary > 0 {
        lines.push(format!(
            "Work in progress takes {}.",
            bytes(usage.temporary)
        ));
    }
    lines.push(format!(
        "{} in all in {}, whose file system has {} left.",
        bytes(usage.total),
        clean(&usage.path),
        bytes(usage.free)
    ));
    lines
}

pub(super) fn usage_json(usage: &StoreUsage) -> Value {
    let images = usage.images.iter().map(|image| {
        json!({
            "name": image.name, "kind": role(image.role).replace(' ', "-"),
            "bytes": image.bytes, "own": image.own,
        })
    });
    let projects = usage.projects.iter().map(|project| {
        json!({
            "folder": project.folder, "source": project.source,
            "caches": project.caches, "used": project.used,
        })
    });
    json!({
        "event": "store",
        "path": usage.path,
        "total": usage.total,
        "free": usage.free,
        "unreferenced": usage.unreferenced,
        "temporary": usage.temporary,
        "images": images.collect::<Vec<_>>(),
        "projects": projects.collect::<Vec<_>>(),
    })
}

pub(super) fn verified_lines(faults: &[StoreFault], verified: &Verified) -> Vec<String> {
    let mut lines: Vec<String> = faults.iter().flat_map(fault_lines).collect();
    let counted = format!(
        "{}, {} ({}, all read) and {}",
        counted(verified.images, "image"),
        counted(verified.blobs, "blob"),
        bytes(verified.bytes),
        counted(verified.layers, "layer")
    );
    lines.push(match verified.faults {
        0 if faults.is_empty() => format!("The store is sound: {counted}."),
        0 => format!("The store was mended: {counted} were looked at."),
        1 => format!("The store has a fault: {counted} were looked at."),
        many => format!("The store has {many} faults: {counted} were looked at."),
    });
    lines.extend(next_step(faults, verified));
    lines
}

fn next_step(faults: &[StoreFault], verified: &Verified) -> Option<String> {
    let refused = |fault: &StoreFault| matches!(fault.repair, Some(Repair::Refused { .. }));
    if verified.faults == 0 {
        None
    } else if faults.iter().any(refused) {
        Some("`locald store verify --repair --yes` gives up the images that need it; a new build makes them again.".to_owned())
    } else {
        Some(
            "`locald store verify --repair` mends what can be mended, and removes nothing."
                .to_owned(),
        )
    }
}

fn fault_lines(fault: &StoreFault) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", clean(&fault.what), clean(&fault.reason))];
    if !fault.images.is_empty() {
        lines.push(format!("  needed by {}", clean(&fault.images.join(", "))));
    }
    lines.extend(fault.repair.as_ref().map(|repair| match repair {
        Repair::Fetched => "  fetched again".to_owned(),
        Repair::Removed => "  removed; nothing needs it".to_owned(),
        Repair::Restored => "  made again of what is there".to_owned(),
        Repair::RunsOnly => {
            "  removed; the images still run, but cannot be exported or pushed before they are built again".to_owned()
        }
        Repair::Refused { reason } => format!("  kept as it is: {}", clean(reason)),
        Repair::Lost { reason } => {
            format!("  the images that need it were given up: {}", clean(reason))
        }
    }));
    lines
}

pub(super) fn verified_json(faults: &[StoreFault], verified: &Verified) -> Value {
    let fault = |fault: &StoreFault| {
        let (repair, reason) = match &fault.repair {
            None => (None, None),
            Some(Repair::Fetched) => (Some("fetched"), None),
            Some(Repair::Removed) => (Some("removed"), None),
            Some(Repair::Restored) => (Some("restored"), None),
            Some(Repair::RunsOnly) => (Some("runs-only"), None),
            Some(Repair::Refused { reason }) => (Some("refused"), Some(reason)),
            Some(Repair::Lost { reason }) => (Some("lost"), Some(reason)),
        };
        json!({
            "what": fault.what, "reason": fault.reason, "images": fault.images,
            "repair": repair, "repair-reason": reason,
        })
    };
    json!({
        "event": "verified",
        "images": verified.images,
        "blobs": verified.blobs,
        "layers": verified.layers,
        "bytes": verified.bytes,
        "remaining": verified.faults,
        "faults": faults.iter().map(fault).collect::<Vec<_>>(),
    })
}

pub(super) fn pruned_lines(items: &[PrunedItem], total: u64, dry_run: bool) -> Vec<String> {
    if items.is_empty() {
        return vec!["There is nothing to remove.".to_owned()];
    }
    let mut rows = vec![["WHAT", "SIZE", "USED"].map(str::to_owned).to_vec()];
    rows.extend(items.iter().map(|item| {
        let what = match item.kind {
            PrunedKind::Unreferenced => "what no image needs".to_owned(),
            PrunedKind::Image => format!("image {}", clean(&item.name)),
            PrunedKind::Project => format!("caches of {}", folder(&item.name)),
        };
        vec![what, bytes(item.bytes), since(item.used)]
    }));
    let mut lines = table(&rows);
    let verb = if dry_run { "would be" } else { "were" };
    lines.push(format!("{} {verb} freed.", bytes(total)));
    lines
}

pub(super) fn pruned_json(items: &[PrunedItem], total: u64, dry_run: bool) -> Value {
    let item = |item: &PrunedItem| {
        let kind = match item.kind {
            PrunedKind::Unreferenced => "unreferenced",
            PrunedKind::Image => "image",
            PrunedKind::Project => "project",
        };
        json!({"kind": kind, "name": item.name, "bytes": item.bytes, "used": item.used})
    };
    json!({
        "event": "pruned",
        "dry-run": dry_run,
        "bytes": total,
        "items": items.iter().map(item).collect::<Vec<_>>(),
    })
}

fn folder(folder: &str) -> String {
    if folder.is_empty() {
        "(no finished build)".to_owned()
    } else {
        clean(folder)
    }
}

fn since(used: u64) -> String {
    match used {
        0 => "never".to_owned(),
        used => age(now().saturating_sub(used)),
    }
}
