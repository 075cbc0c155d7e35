//! The results of commands, as text and as JSON.

use std::path::PathBuf;
use std::time::Duration;

use protocol::event::{Built, Check, ImageSummary, PrunedItem, StoreFault, StoreUsage, Verified};
use serde_json::{Value, json};

use super::Detail;
use super::details::ImageDetails;
use super::machine::size;
use super::measure::{bytes, duration, short_digest};
use super::sanitise::clean;
use super::style::Style;
use super::{checks, images, services, store};
use crate::export::{ExportTarget, Tool};
use crate::report::{MachineReport, Statuses};
use crate::settings::Shape;

/// The result of a command. It goes to standard output.
#[derive(Debug)]
pub(crate) enum Answer {
    Built {
        built: Built,
        /// The builder and the source of that setting. Absent if the project or
        /// the command line names the builder.
        builder: Option<String>,
        elapsed: Duration,
    },
    Images(Vec<ImageSummary>),
    Image(Box<ImageDetails>),
    Tagged {
        old: String,
        new: String,
        digest: String,
    },
    Removed {
        names: Vec<String>,
        freed: u64,
    },
    Exported {
        image: String,
        target: ExportTarget,
        digest: String,
    },
    Loaded {
        image: String,
        tool: Tool,
        digest: String,
    },
    Pushed {
        image: String,
        digest: String,
    },
    Pulled {
        image: String,
        digest: String,
    },
    LoggedIn {
        registry: String,
        path: PathBuf,
    },
    LoggedOut {
        registry: String,
        known: bool,
    },
    Checks(Vec<Check>),
    StoreUsage(Box<StoreUsage>),
    Verified {
        faults: Vec<StoreFault>,
        verified: Verified,
    },
    Pruned {
        items: Vec<PrunedItem>,
        bytes: u64,
        dry_run: bool,
    },
    Machine(Box<MachineReport>),
    MachineStarted {
        machine: String,
        build: String,
    },
    MachineStopped {
        machine: String,
        trimmed: u64,
    },
    MachineReset {
        machine: String,
        kept_images: bool,
    },
    MachineResized {
        machine: String,
        shape: Shape,
    },
    Services(Statuses),
    ServicesStopped(Vec<String>),
    ServicesRestarted(Vec<String>),
    /// Paths of log files, and their content.
    Logs(Vec<(PathBuf, String)>),
}

impl Answer {
    /// Returns the result as JSON.
    #[expect(clippy::too_many_lines, reason = "a plain table")]
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Built { built, elapsed, .. } => json!({
                "event": "built",
                "digest": built.digest,
                "names": built.names,
                "size": built.size,
                "up-to-date": built.up_to_date,
                "published": built.published,
                "buildpacks": built.buildpacks,
                "milliseconds": u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            }),
            Self::Images(images) => {
                let images: Vec<_> = images.iter().map(images::json).collect();
                json!({"event": "images", "images": images})
            }
            Self::Image(details) => details.json(),
            Self::Tagged { old, new, digest } => {
                json!({"event": "tagged", "image": old, "name": new, "digest": digest})
            }
            Self::Removed { names, freed } => {
                json!({"event": "removed", "names": names, "freed": freed})
            }
            Self::Exported {
                image,
                target,
                digest,
            } => json!({
                "event": "exported", "image": image, "target": target.to_string(), "digest": digest,
            }),
            Self::Loaded {
                image,
                tool,
                digest,
            } => json!({
                "event": "loaded", "image": image, "tool": tool.to_string(), "digest": digest,
            }),
            Self::Pushed { image, digest } => {
                json!({"event": "pushed", "image": image, "digest": digest})
            }
            Self::Pulled { image, digest } => {
                json!({"event": "pulled", "image": image, "digest": digest})
            }
            Self::LoggedIn { registry, path } => {
                json!({"event": "logged-in", "registry": registry, "file": path})
            }
            Self::LoggedOut { registry, known } => {
                json!({"event": "logged-out", "registry": registry, "known": known})
            }
            Self::StoreUsage(usage) => store::usage_json(usage),
            Self::Verified { faults, verified } => store::verified_json(faults, verified),
            Self::Pruned {
                items,
                bytes,
                dry_run,
            } => store::pruned_json(items, *bytes, *dry_run),
            Self::Checks(checks) => {
                let checks: Vec<_> = checks.iter().map(checks::json).collect();
                json!({"event": "checks", "checks": checks})
            }
            Self::Machine(report) => report.json(),
            Self::MachineStarted { machine, build } => {
                json!({"event": "machine-started", "machine": machine, "agent": build})
            }
            Self::MachineStopped { machine, trimmed } => {
                json!({"event": "machine-stopped", "machine": machine, "trimmed": trimmed})
            }
            Self::MachineReset {
                machine,
                kept_images,
            } => json!({
                "event": "machine-reset", "machine": machine, "kept-images": kept_images,
            }),
            Self::MachineResized { machine, shape } => json!({
                "event": "machine-resized", "machine": machine,
                "cpus": shape.cpus, "memory": shape.memory, "disk": shape.disk,
            }),
            Self::Services(statuses) => {
                json!({"event": "services", "services": services::json(statuses)})
            }
            Self::ServicesStopped(names) => json!({"event": "services-stopped", "names": names}),
            Self::ServicesRestarted(names) => {
                json!({"event": "services-restarted", "names": names})
            }
            Self::Logs(logs) => {
                let log = |(path, text): &(PathBuf, String)| json!({"file": path, "text": text});
                let logs: Vec<_> = logs.iter().map(log).collect();
                json!({"event": "logs", "logs": logs})
            }
        }
    }

    /// Returns the result as lines for people.
    pub(super) fn lines(&self, detail: Detail, style: Style) -> Vec<String> {
        if detail == Detail::Quiet {
            return self.quiet_lines();
        }
        match self {
            Self::Built {
                built,
                builder,
                elapsed,
            } => built_lines(built, builder.as_deref(), *elapsed, style),
            Self::Images(images) => images::lines(images),
            Self::Image(details) => details.lines(style),
            Self::Checks(checks) => checks::lines(checks, style),
            Self::StoreUsage(usage) => store::usage_lines(usage),
            Self::Verified { faults, verified } => store::verified_lines(faults, verified),
            Self::Pruned {
                items,
                bytes,
                dry_run,
            } => store::pruned_lines(items, *bytes, *dry_run),
            Self::Machine(report) => report.lines(),
            Self::Services(statuses) => services::lines(statuses),
            Self::Logs(logs) => log_lines(logs),
            other => vec![clean(&other.sentence())],
        }
    }

    /// Returns the lines of `--quiet`: the values that a script needs.
    fn quiet_lines(&self) -> Vec<String> {
        let line = match self {
            Self::Built { built, .. } => &built.digest,
            Self::Pushed { digest, .. } | Self::Pulled { digest, .. } => digest,
            Self::Images(images) => {
                return images.iter().map(|image| clean(&image.name)).collect();
            }
            Self::Image(details) => &details.digest,
            Self::Checks(_) | Self::Machine(_) | Self::Logs(_) | Self::Services(_) => {
                return self.lines(Detail::Normal, Style::new(false));
            }
            _ => return Vec::new(),
        };
        vec![clean(line)]
    }

    /// Returns the text of a result that is one sentence.
    fn sentence(&self) -> String {
        match self {
            Self::Tagged { old, new, .. } => format!("{old} is now {new}, too"),
            Self::Removed { names, freed } => {
                format!("Removed {}, {} freed", names.join(", "), bytes(*freed))
            }
            Self::Exported { image, target, .. } => format!("Exported {image} to {target}"),
            Self::Loaded { image, tool, .. } => format!("{tool} has {image}"),
            Self::Pushed { image, digest } => format!("{image} is {digest} in its registry"),
            Self::Pulled { image, digest } => format!("{image} is {digest}"),
            Self::LoggedIn { registry, path } => {
                let path = path.display();
                format!("Saved the account of {registry} in {path}; the next pull or push tries it")
            }
            Self::LoggedOut { registry, known } => {
                let verb = if *known { "Forgot the" } else { "There was no" };
                format!("{verb} account of {registry}")
            }
            Self::MachineStarted { machine, build } => {
                format!("{machine} answers: its agent is {build}")
            }
            Self::MachineStopped {
                machine,
                trimmed: 0,
            } => format!("Stopped {machine}"),
            Self::MachineStopped { machine, trimmed } => {
                format!("Stopped {machine}; its disk takes {} less", bytes(*trimmed))
            }
            Self::MachineReset {
                machine,
                kept_images: true,
            } => format!("Removed all but the images of {machine}"),
            Self::MachineReset { machine, .. } => format!("Removed {machine}"),
            Self::MachineResized { machine, shape } => {
                format!("{machine} has {} from its next start on", size(shape))
            }
            Self::ServicesStopped(names) if names.is_empty() => "No service runs".to_owned(),
            Self::ServicesStopped(names) => format!("Stopped {}", names.join(", ")),
            Self::ServicesRestarted(names) => format!("Restarting {}", names.join(", ")),
            Self::Built { .. }
            | Self::Services(_)
            | Self::Images(_)
            | Self::Image(_)
            | Self::Checks(_)
            | Self::StoreUsage(_)
            | Self::Verified { .. }
            | Self::Pruned { .. }
            | Self::Machine(_)
            | Self::Logs(_) => String::new(),
        }
    }
}

fn built_lines(
    built: &Built,
    builder: Option<&str>,
    elapsed: Duration,
    style: Style,
) -> Vec<String> {
    let names = built
        .names
        .iter()
        .map(|name| clean(name))
        .collect::<Vec<_>>()
        .join(", ");
    let digest = short_digest(&clean(&built.digest));
    let size = bytes(built.size);
    if built.up_to_date {
        let line = format!("{} is up to date ({digest}, {size})", style.good(&names));
        return vec![line];
    }
    let time = duration(elapsed);
    let mut lines = vec![format!(
        "Built {} ({digest}, {size}) in {time}",
        style.good(&names)
    )];
    let name = built.names.first().map(|name| format!("locald run {name}"));
    let details = [
        ("builder:", builder.map(str::to_owned)),
        (
            "buildpacks:",
            Some(built.buildpacks.join(", ")).filter(|it| !it.is_empty()),
        ),
        ("start it:", name),
    ];
    for (label, text) in details {
        let line = text.map(|text| format!("  {} {}", style.dim(label), clean(&text)));
        lines.extend(line);
    }
    lines
}

fn log_lines(logs: &[(PathBuf, String)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, text) in logs {
        lines.push(format!("==> {} <==", clean(&path.display().to_string())));
        lines.extend(text.lines().map(clean));
    }
    lines
}
