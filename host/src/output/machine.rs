//! Formats the status of a machine.

use std::time::Duration;

use protocol::Failure;
use serde_json::{Value, json};

use super::measure::{bytes, duration};
use super::sanitise::clean;
use super::table::table;
use crate::exit_code;
use crate::report::{AgentReport, MachineReport, StartStep};
use crate::settings::Shape;

impl MachineReport {
    pub(super) fn json(&self) -> Value {
        let mut object = json!({
            "event": "status",
            "machine": self.machine,
            "state": self.state.name(),
            "host-version": env!("CARGO_PKG_VERSION"),
            "transport": self.transport,
            "error": self.fault.as_ref().map(fault_json),
        });
        if let Some(agent) = &self.agent {
            agent.add_to(&mut object);
        }
        if let Some(shape) = &self.shape {
            object["cpus"] = shape.cpus.into();
            object["memory"] = shape.memory.into();
            object["disk"] = shape.disk.into();
        }
        if !self.steps.is_empty() {
            let step =
                |step: &StartStep| json!({"step": step.name, "milliseconds": millis(step.time)});
            object["start"] = self.steps.iter().map(step).collect();
        }
        object
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let mut rows = vec![
            ("Machine", self.machine.clone()),
            ("State", self.state.name().to_owned()),
        ];
        if let Some(failure) = &self.fault {
            let text = [vec![failure.message.clone()], failure.causes.clone()].concat();
            rows.push(("Error", text.join(": ")));
            rows.extend(failure.hint.clone().map(|hint| ("Remedy", hint)));
        }
        rows.push(("Host", format!("locald {}", env!("CARGO_PKG_VERSION"))));
        if let Some(agent) = &self.agent {
            rows.extend(agent.rows());
        } else if let Some(shape) = &self.shape {
            rows.push(("Size", size(shape)));
        }
        if let Some(transport) = &self.transport {
            rows.push(("Transport", transport.clone()));
        }
        for step in &self.steps {
            rows.push(("Start", format!("{}: {}", step.name, duration(step.time))));
        }
        let row = |(name, value): (&str, String)| vec![name.to_owned(), clean(&value)];
        table(&rows.into_iter().map(row).collect::<Vec<_>>())
    }
}

impl AgentReport {
    fn add_to(&self, object: &mut Value) {
        object["agent"] = self.build.clone().into();
        object["round-trip-microseconds"] = u64::try_from(self.round_trip.as_micros())
            .unwrap_or(u64::MAX)
            .into();
        if let Some(status) = &self.status {
            object["version"] = status.version.clone().into();
            object["uptime-milliseconds"] = status.uptime_millis.into();
            object["store"] = status.store_path.clone().into();
            object["store-bytes"] = status.store_bytes.into();
        }
        if let Some(usage) = &self.usage {
            object["usage"] = json!({
                "blobs": usage.blobs, "layers": usage.layers, "projects": usage.projects,
            });
        }
        if let Some(machine) = &self.machine {
            object["kernel"] = machine.kernel.clone().into();
            object["architecture"] = machine.architecture.clone().into();
            object["machine-uptime-milliseconds"] = machine.uptime_millis.into();
            object["processors"] = machine.processors.into();
            object["load"] = (f64::from(machine.load) / 100.0).into();
            object["memory-total"] = machine.memory.into();
            object["memory-available"] = machine.memory_available.into();
            object["disk-total"] = machine.disk.into();
            object["disk-free"] = machine.disk_free.into();
            object["clock-offset-milliseconds"] = self.offset_millis.into();
            object["running"] = machine.running.clone().into();
        }
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![("Agent", self.build.clone())];
        if let Some(machine) = &self.machine {
            let up = duration(Duration::from_millis(machine.uptime_millis));
            rows.push((
                "System",
                format!(
                    "Linux {}, {}, up {up}",
                    machine.kernel, machine.architecture
                ),
            ));
            let load = machine.load;
            rows.push((
                "Processors",
                format!(
                    "{}, load {}.{:02}",
                    machine.processors,
                    load / 100,
                    load % 100
                ),
            ));
            let (free, total) = (bytes(machine.memory_available), bytes(machine.memory));
            rows.push(("Memory", format!("{free} of {total} available")));
            let (free, total) = (bytes(machine.disk_free), bytes(machine.disk));
            rows.push(("Disk", format!("{free} of {total} free")));
            rows.push(("Clock", format!("{:+} ms", self.offset_millis)));
            if !machine.running.is_empty() {
                rows.push(("Runs", machine.running.join(", ")));
            }
        } else {
            rows.push(("System", "does not answer in 2 s".to_owned()));
        }
        if let Some(status) = &self.status {
            let used = bytes(status.store_bytes);
            rows.push(("Store", format!("{}, {used}", status.store_path)));
        }
        if let Some(usage) = &self.usage {
            let (blobs, layers) = (bytes(usage.blobs), bytes(usage.layers));
            let projects = bytes(usage.projects);
            rows.push((
                "Used by",
                format!("images {blobs}, their files {layers}, projects {projects}"),
            ));
        }
        let micros = self.round_trip.as_micros();
        rows.push((
            "Answers",
            format!("in {}.{:02} ms", micros / 1000, micros % 1000 / 10),
        ));
        rows
    }
}

/// Formats the size of a virtual machine.
pub(super) fn size(shape: &Shape) -> String {
    format!(
        "{} processors, {} of memory, at most {} of disk",
        shape.cpus,
        bytes(shape.memory),
        bytes(shape.disk)
    )
}

fn fault_json(failure: &Failure) -> Value {
    json!({
        "kind": exit_code::name(failure.kind),
        "message": failure.message,
        "causes": failure.causes,
        "hint": failure.hint,
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
