//! Collects the output of a lifecycle phase while it runs.

use std::collections::VecDeque;
use std::time::Duration;

use protocol::event::Phase;

/// The number of lines that are visible while a phase runs.
const TAIL: usize = 6;
/// How many bytes of output stay in memory for a failure of the phase. The log
/// has all of it.
const KEPT: usize = 4 * 1024 * 1024;

/// Returns the lifecycle's own heading of a phase.
pub(super) const fn heading(phase: Phase) -> &'static str {
    match phase {
        Phase::Analyze => "===> ANALYZING",
        Phase::Detect => "===> DETECTING",
        Phase::Restore => "===> RESTORING",
        Phase::Build => "===> BUILDING",
        Phase::Export => "===> EXPORTING",
    }
}

/// Names locald's store in the exporter's message. The exporter saves the image
/// there, not in the registry that its message names.
pub(super) fn of_store(line: &str) -> String {
    let image = line.trim().strip_prefix("Saving ");
    match image.and_then(|rest| rest.strip_suffix("...")) {
        Some(image) => {
            let image = image.strip_prefix("index.docker.io/").unwrap_or(image);
            let image = image.strip_prefix("library/").unwrap_or(image);
            format!("Saving {image} in locald's store...")
        }
        None => line.to_owned(),
    }
}

/// A running phase.
#[derive(Debug)]
pub(super) struct OpenPhase {
    pub(super) phase: Phase,
    pub(super) since: Duration,
    lines: VecDeque<String>,
    bytes: usize,
    dropped: usize,
}

impl OpenPhase {
    pub(super) const fn new(phase: Phase, since: Duration) -> Self {
        Self {
            phase,
            since,
            lines: VecDeque::new(),
            bytes: 0,
            dropped: 0,
        }
    }

    pub(super) fn push(&mut self, line: String) {
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.bytes > KEPT
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.len();
            self.dropped += 1;
        }
    }

    /// Returns the last lines.
    pub(super) fn tail(&self) -> impl Iterator<Item = &str> {
        let skipped = self.lines.len().saturating_sub(TAIL);
        self.lines.iter().skip(skipped).map(String::as_str)
    }

    /// Returns all lines in memory, after a line about the removed ones.
    pub(super) fn all(self) -> Vec<String> {
        let mut lines = Vec::with_capacity(self.lines.len() + 1);
        if self.dropped > 0 {
            lines.push(format!("({} earlier lines are in the log)", self.dropped));
        }
        lines.extend(self.lines);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_looks_like_a_push() {
        let cases = [
            (
                "Saving index.docker.io/library/demo:latest...",
                "demo:latest",
            ),
            ("Saving index.docker.io/me/demo:1...", "me/demo:1"),
            ("Saving ghcr.io/me/shop:1...", "ghcr.io/me/shop:1"),
        ];
        for (line, name) in cases {
            assert_eq!(
                of_store(line),
                format!("Saving {name} in locald's store...")
            );
        }
        assert_eq!(of_store("Adding layer 'a/b:c'"), "Adding layer 'a/b:c'");
    }

    #[test]
    fn old_output_is_let_go_and_counted() {
        let mut phase = OpenPhase::new(Phase::Build, Duration::ZERO);
        for _ in 0..5 {
            phase.push("x".repeat(KEPT / 4));
        }
        assert_eq!(phase.tail().count(), 4);
        let lines = phase.all();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0], "(1 earlier lines are in the log)");
    }
}
