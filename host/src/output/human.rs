//! Turns the events of a request into lines for people: lines that stay, and
//! live lines for the work in progress. It is pure: it takes the time as an
//! argument and returns text.

use std::path::Path;
use std::time::Duration;

use protocol::event::Phase;
use protocol::{Channel, Event, Failure, FailureKind};

use super::Detail;
use super::lines::Lines;
use super::measure::{bytes, counted, duration};
use super::phase::{self, OpenPhase, heading};
use super::sanitise::{Keep, clean, sanitise};
use super::style::Style;
use super::transfer::{TransferMessage, Transfers};
use super::warnings::Warnings;

/// A phase that took less time has no time after its heading.
const WORTH_TELLING: Duration = Duration::from_millis(500);

/// The start of the lifecycle's last line when it fails.
const LAST_WORDS: &str = "ERROR: failed to ";

/// The state of a request's output for people.
#[derive(Debug)]
pub(super) struct HumanReporter {
    detail: Detail,
    style: Style,
    /// Whether there are live lines, into which output folds.
    folds: bool,
    /// Whether successful phases leave no line.
    collapses: bool,
    transfers: Transfers,
    phase: Option<OpenPhase>,
    lines: Lines,
    /// The warnings in hidden output.
    warnings: Warnings,
}

impl HumanReporter {
    pub(super) fn new(detail: Detail, style: Style, folds: bool) -> Self {
        Self {
            detail,
            style,
            folds,
            collapses: false,
            transfers: Transfers::default(),
            phase: None,
            lines: Lines::default(),
            warnings: Warnings::default(),
        }
    }

    /// Makes a reporter for a background task. Unless the output is verbose,
    /// successful phases leave no line there.
    pub(super) fn background(&self) -> Self {
        let mut reporter = Self::new(self.detail, self.style, self.folds);
        reporter.collapses = self.detail != Detail::Verbose;
        reporter
    }

    /// Handles an event. Returns the lines to keep.
    pub(super) fn event(&mut self, event: &Event, now: Duration) -> Vec<String> {
        if self.detail == Detail::Quiet && !matches!(event, Event::Warning { .. }) {
            self.note_phase(event, now);
            return Vec::new();
        }
        match event {
            Event::Pull(event) => {
                let told = self.transfers.pull(event, now);
                self.keep(told)
            }
            Event::Push(event) => {
                let told = self.transfers.push(event, now);
                self.keep(told)
            }
            Event::PhaseStarted(phase) => {
                self.note_phase(event, now);
                self.if_unfolded(|| self.style.heading(heading(*phase)))
            }
            Event::PhaseEnded { phase, millis } => self.end_phase(*phase, *millis),
            Event::SourceComplete { files, received } => {
                let (files, received) = (*files, bytes(*received));
                let told = format!("Source: {files} files, {received} sent");
                if self.detail == Detail::Verbose {
                    vec![told]
                } else {
                    Vec::new()
                }
            }
            Event::Waiting { reason } => vec![format!("Waiting for {}", clean(reason))],
            Event::Warning { message, hint } => self.warn(message, hint.as_deref()),
            _ => Vec::new(),
        }
    }

    /// Handles output of a phase, and passes each line to `log`. Returns the
    /// lines to keep.
    pub(super) fn output(
        &mut self,
        channel: Channel,
        bytes: &[u8],
        mut log: impl FnMut(&str),
    ) -> Vec<String> {
        let lines = self.lines.push(channel, bytes);
        lines.iter().for_each(|line| log(line));
        self.take_lines(lines)
    }

    /// Returns the live lines.
    pub(super) fn live(&self, now: Duration, columns: usize) -> Vec<String> {
        if !self.folds || self.detail == Detail::Quiet {
            return Vec::new();
        }
        let mut live = self.transfers.live(now, columns);
        if let Some(open) = self.phase.as_ref().filter(|_| self.is_folded()) {
            let time = duration(now.saturating_sub(open.since));
            live.push(format!(
                "{} {}",
                self.style.heading(heading(open.phase)),
                self.style.dim(&time)
            ));
            live.extend(
                open.tail()
                    .map(|line| self.style.dim(&format!("  {}", clean(line)))),
            );
        }
        live
    }

    /// Returns the warnings in the hidden output of a successful build.
    pub(super) fn warnings(&mut self, log: Option<&Path>) -> Vec<String> {
        let (lines, more) = self.warnings.take();
        if lines.is_empty() || self.detail == Detail::Quiet {
            return Vec::new();
        }
        let mut told = vec![self.style.warning("warnings of the build:")];
        told.extend(lines.iter().map(|line| format!("  {}", self.pass(line))));
        if more > 0 {
            told.push(format!("  … and {}", counted(more as u64, "more line")));
        }
        told.extend(log.map(|path| {
            let path = clean(&path.display().to_string());
            format!("  {} {path}", self.style.dim("full log:"))
        }));
        told
    }

    /// Handles a failure. Returns the hidden output of the running phase,
    /// unless the user ended it. The last line of the lifecycle becomes the
    /// first cause.
    pub(super) fn fail(&mut self, failure: &mut Failure, mut log: impl FnMut(&str)) -> Vec<String> {
        let rest: Vec<_> = self
            .lines
            .flush()
            .into_iter()
            .map(|(_, line)| line)
            .collect();
        rest.iter().for_each(|line| log(line));
        let mut told = self.take_lines(rest);
        self.warnings.take();
        let hidden = self.hides_output() && failure.kind != FailureKind::Cancelled;
        if let Some(open) = self.phase.take().filter(|_| hidden) {
            told.push(self.style.heading(heading(open.phase)));
            let mut lines = open.all();
            if let Some(last) = lines.pop_if(|line| clean(line).starts_with(LAST_WORDS)) {
                let last = clean(&last);
                let reason = last.trim_start_matches(LAST_WORDS);
                let reason = reason.split_once(": ").map_or(reason, |(_, reason)| reason);
                failure.causes.insert(0, reason.to_owned());
            }
            told.extend(lines.iter().map(|line| self.pass(line)));
        }
        told
    }

    fn note_phase(&mut self, event: &Event, now: Duration) {
        match event {
            Event::PhaseStarted(phase) => self.phase = Some(OpenPhase::new(*phase, now)),
            Event::PhaseEnded { .. } => self.phase = None,
            _ => {}
        }
    }

    fn end_phase(&mut self, phase: Phase, millis: u64) -> Vec<String> {
        let rest = self
            .lines
            .flush()
            .into_iter()
            .map(|(_, line)| line)
            .collect();
        let mut told = self.take_lines(rest);
        self.phase = None;
        if self.is_folded() && !self.collapses {
            let time = Duration::from_millis(millis);
            let mut line = self.style.heading(heading(phase));
            if time >= WORTH_TELLING {
                line = format!("{line} {}", self.style.dim(&duration(time)));
            }
            told.push(line);
        }
        told
    }

    /// Hides lines of output, or returns them.
    fn take_lines(&mut self, lines: Vec<String>) -> Vec<String> {
        if self.hides_output() {
            lines.iter().for_each(|line| self.warnings.line(line));
            if let Some(open) = &mut self.phase {
                lines.into_iter().for_each(|line| open.push(line));
            }
            return Vec::new();
        }
        let exports = self
            .phase
            .as_ref()
            .is_some_and(|it| it.phase == Phase::Export);
        let lines = lines.iter().map(|line| self.pass(line));
        lines
            .map(|line| {
                if exports {
                    phase::of_store(&line)
                } else {
                    line
                }
            })
            .collect()
    }

    fn is_folded(&self) -> bool {
        self.folds && self.detail == Detail::Normal
    }

    fn hides_output(&self) -> bool {
        self.is_folded() || self.collapses || self.detail == Detail::Quiet
    }

    fn if_unfolded(&self, line: impl FnOnce() -> String) -> Vec<String> {
        if self.is_folded() || self.collapses {
            Vec::new()
        } else {
            vec![line()]
        }
    }

    fn keep(&self, told: Option<TransferMessage>) -> Vec<String> {
        match told {
            Some(TransferMessage::Lasting(line)) => vec![line],
            Some(TransferMessage::Passing(line)) if !self.folds => vec![line],
            _ => Vec::new(),
        }
    }

    fn warn(&self, message: &str, hint: Option<&str>) -> Vec<String> {
        let mut told = vec![format!(
            "{} {}",
            self.style.warning("warning:"),
            clean(message)
        )];
        if let Some(hint) = hint {
            told.push(format!("{} {}", self.style.hint("hint:"), clean(hint)));
        }
        told
    }

    /// Removes control sequences from a line of output. Colours stay if
    /// locald's own output has colours.
    fn pass(&self, line: &str) -> String {
        let keep = if self.style.is_coloured() {
            Keep::Colours
        } else {
            Keep::Text
        };
        sanitise(line, keep)
    }
}
