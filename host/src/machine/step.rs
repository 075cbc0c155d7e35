//! Measures and stores the steps of a machine's start.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::output::Printer;
use crate::platform::state_file;
use crate::report::StartStep;

/// The steps of the current start.
#[derive(Debug)]
pub(super) struct Steps {
    done: Vec<StartStep>,
    since: Instant,
}

impl Steps {
    /// Starts the measurement.
    pub(super) fn begin() -> Self {
        Self {
            done: Vec::new(),
            since: Instant::now(),
        }
    }

    /// Ends a step, and starts the next one.
    pub(super) fn end(&mut self, name: &str, printer: &mut Printer) {
        let step = StartStep {
            name: name.to_owned(),
            time: self.since.elapsed(),
        };
        self.since = Instant::now();
        printer.machine_step(&step);
        self.done.push(step);
    }

    /// Stores the steps for `vm status --timings`.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let millis = |step: &StartStep| u64::try_from(step.time.as_millis()).unwrap_or(u64::MAX);
        let steps: Vec<_> = self.done.iter().map(|it| (&it.name, millis(it))).collect();
        state_file::write(path, &steps)
    }
}

/// Reads the steps of the last start. Empty if there are none.
pub(super) fn load(path: &Path) -> Vec<StartStep> {
    let bytes = fs_err::read(path).unwrap_or_default();
    let steps: Vec<(String, u64)> = serde_json::from_slice(&bytes).unwrap_or_default();
    let step = |(name, millis)| StartStep {
        name,
        time: Duration::from_millis(millis),
    };
    steps.into_iter().map(step).collect()
}
