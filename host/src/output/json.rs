//! Turns the events of a request into JSON for programs, one object a line. The
//! field `event` names the kind; `docs/json.md` lists the kinds, and a test
//! compares the list with this file.

use std::path::Path;

use protocol::event::{Phase, PullEvent, PushEvent};
use protocol::{Channel, Event, Failure};
use serde::Serialize;

use super::lines::Lines;
use super::sanitise::clean;
use crate::exit_code;

/// One line of JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Json<'a> {
    PullStarted {
        image: &'a str,
        digest: &'a str,
        layers: u32,
        missing: u32,
        bytes: u64,
    },
    PullProgress {
        image: &'a str,
        layer: &'a str,
        done: u64,
        total: u64,
    },
    PullLayer {
        image: &'a str,
        layer: &'a str,
    },
    PullRetry {
        image: &'a str,
        reason: &'a str,
        milliseconds: u64,
    },
    PullDone {
        image: &'a str,
        digest: &'a str,
    },
    PushStarted {
        image: &'a str,
        blobs: u32,
        missing: u32,
        bytes: u64,
    },
    PushProgress {
        image: &'a str,
        done: u64,
        total: u64,
    },
    PushDone {
        image: &'a str,
        digest: &'a str,
    },
    Source {
        files: u64,
        received: u64,
    },
    PhaseStarted {
        phase: &'static str,
    },
    Output {
        phase: Option<&'static str>,
        stream: &'static str,
        line: String,
    },
    PhaseEnded {
        phase: &'static str,
        milliseconds: u64,
    },
    Waiting {
        reason: &'a str,
    },
    Warning {
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'a str>,
    },
    Note {
        message: &'a str,
    },
    Service {
        service: &'a str,
        state: &'a str,
        message: &'a str,
    },
    ServiceOutput {
        service: Option<&'a str>,
        stream: &'static str,
        line: &'a str,
    },
    MachineStep {
        step: &'a str,
        milliseconds: u64,
    },
    Failed {
        kind: &'static str,
        code: u8,
        message: &'a str,
        causes: &'a [String],
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        log: Option<&'a Path>,
    },
}

impl<'a> Json<'a> {
    /// Makes the last line of a failed command.
    pub(super) fn failed(failure: &'a Failure, log: Option<&'a Path>) -> Self {
        Self::Failed {
            kind: exit_code::name(failure.kind),
            code: exit_code::of(failure.kind),
            message: &failure.message,
            causes: &failure.causes,
            hint: failure.hint.as_deref(),
            log,
        }
    }
}

/// Makes JSON of events and of output.
#[derive(Debug, Default)]
pub(super) struct JsonReporter {
    phase: Option<Phase>,
    lines: Lines,
}

impl JsonReporter {
    /// Handles an event. Returns its lines, after unfinished output of a phase
    /// that ends.
    pub(super) fn event<'a>(&mut self, event: &'a Event) -> Vec<Json<'a>> {
        let mut told = Vec::new();
        match event {
            Event::PhaseStarted(phase) => self.phase = Some(*phase),
            Event::PhaseEnded { .. } => {
                told = self.flush(|_| {});
                self.phase = None;
            }
            _ => {}
        }
        told.extend(line(event));
        told
    }

    /// Handles output, and passes each line to `log`. Returns the lines of
    /// JSON.
    pub(super) fn output(
        &mut self,
        channel: Channel,
        bytes: &[u8],
        mut log: impl FnMut(&str),
    ) -> Vec<Json<'static>> {
        let phase = self.phase.map(Phase::name);
        let lines = self.lines.push(channel, bytes);
        let told = lines.into_iter().map(|line| {
            log(&line);
            output(phase, channel, &line)
        });
        told.collect()
    }

    /// Returns the unfinished lines. Call it when no more output follows.
    pub(super) fn flush(&mut self, mut log: impl FnMut(&str)) -> Vec<Json<'static>> {
        let phase = self.phase.map(Phase::name);
        let told = self.lines.flush().into_iter().map(|(channel, line)| {
            log(&line);
            output(phase, channel, &line)
        });
        told.collect()
    }
}

fn output(phase: Option<&'static str>, channel: Channel, line: &str) -> Json<'static> {
    let stream = stream_name(channel);
    // Remove colours: programs read plain text.
    let line = clean(line);
    Json::Output {
        phase,
        stream,
        line,
    }
}

/// Returns the name of an output stream.
pub(super) const fn stream_name(channel: Channel) -> &'static str {
    match channel {
        Channel::Stderr => "stderr",
        Channel::Stdin | Channel::Stdout | Channel::Bulk => "stdout",
    }
}

fn line(event: &Event) -> Option<Json<'_>> {
    Some(match event {
        Event::Pull(event) => pull(event),
        Event::Push(event) => push(event),
        Event::SourceComplete { files, received } => Json::Source {
            files: *files,
            received: *received,
        },
        Event::PhaseStarted(phase) => Json::PhaseStarted {
            phase: phase.name(),
        },
        Event::PhaseEnded { phase, millis } => Json::PhaseEnded {
            phase: phase.name(),
            milliseconds: *millis,
        },
        Event::Waiting { reason } => Json::Waiting { reason },
        Event::Warning { message, hint } => Json::Warning {
            message,
            hint: hint.as_deref(),
        },
        _ => return None,
    })
}

fn pull(event: &PullEvent) -> Json<'_> {
    match event {
        PullEvent::Resolved {
            image,
            digest,
            layers,
            missing,
            bytes,
        } => Json::PullStarted {
            image,
            digest,
            layers: *layers,
            missing: *missing,
            bytes: *bytes,
        },
        PullEvent::Progress {
            image,
            layer,
            done,
            total,
        } => Json::PullProgress {
            image,
            layer,
            done: *done,
            total: *total,
        },
        PullEvent::LayerDone { image, layer } => Json::PullLayer { image, layer },
        PullEvent::Retry {
            image,
            reason,
            millis,
        } => Json::PullRetry {
            image,
            reason,
            milliseconds: *millis,
        },
        PullEvent::Done { image, digest } => Json::PullDone { image, digest },
    }
}

fn push(event: &PushEvent) -> Json<'_> {
    match event {
        PushEvent::Planned {
            image,
            blobs,
            missing,
            bytes,
        } => Json::PushStarted {
            image,
            blobs: *blobs,
            missing: *missing,
            bytes: *bytes,
        },
        PushEvent::Progress { image, done, total } => Json::PushProgress {
            image,
            done: *done,
            total: *total,
        },
        PushEvent::Done { image, digest } => Json::PushDone { image, digest },
    }
}
