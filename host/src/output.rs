//! Writes everything that locald prints.
//!
//! For people, live lines on a terminal show the work in progress and fold away
//! when it is done; elsewhere progress is plain lines. Progress goes to
//! standard error, and the result of a command to standard output. For programs
//! (`--json`), standard output has one JSON object a line and nothing else.

use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protocol::event::Phase;
use protocol::{Channel, Event, Failure, FailureKind};

use crate::exit_code;
use crate::report::StartStep;

mod answer;
mod background;
mod checks;
mod details;
mod human;
mod images;
mod json;
mod lines;
mod live;
mod log;
mod machine;
mod measure;
mod phase;
mod sanitise;
mod screen;
mod service;
mod services;
mod shared;
mod store;
mod style;
mod table;
mod transfer;
mod warnings;
mod width;
mod window;

pub(crate) use answer::Answer;
pub(crate) use details::ImageDetails;
pub(crate) use lines::Lines;
pub(crate) use measure::{bytes, duration};
pub(crate) use sanitise::clean;
#[cfg(feature = "fuzzing")]
pub(crate) use sanitise::{Keep, sanitise};
pub(crate) use screen::LiveLines;
pub(crate) use service::Label;

use human::HumanReporter;
use json::Json;
use log::Log;
use screen::Screen;
use shared::Shared;
use style::Style;

/// How much locald prints for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Errors, warnings and the result.
    Quiet,
    /// Also progress and notes.
    Normal,
    /// Also the full output of all phases.
    Verbose,
}

/// The output options of the command line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutputOptions {
    /// Whether to print JSON for programs.
    pub(crate) json: bool,
    pub(crate) detail: Detail,
    pub(crate) colour: Colour,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// By the terminal, `NO_COLOR`, `CLICOLOR_FORCE` and similar variables.
    Auto,
    Always,
    Never,
}

/// Prints for people or for programs.
pub(crate) struct Printer {
    audience: Audience,
    out: Shared,
    log: Log,
    started: Instant,
}

/// The kind of reader.
enum Audience {
    People(Box<People>),
    Programs(json::JsonReporter),
}

struct People {
    reporter: HumanReporter,
    detail: Detail,
    style: Style,
    /// The style of standard output.
    out_style: Style,
    screen: Screen,
}

impl Printer {
    /// Makes the printer of this process's standard streams.
    pub(crate) fn new(options: OutputOptions) -> Self {
        let detail = options.detail;
        let style = Style::new(wants_colour(options.colour, &io::stderr()));
        let out_style = Style::new(wants_colour(options.colour, &io::stdout()));
        let folds =
            io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|it| it != "dumb");
        let audience = if options.json {
            Audience::Programs(json::JsonReporter::default())
        } else if folds {
            let window = window::StandardError::new();
            let screen = Screen::terminal(Box::new(io::stderr()), Box::new(window));
            Audience::people(
                HumanReporter::new(detail, style, true),
                detail,
                [style, out_style],
                screen,
            )
        } else {
            let screen = Screen::plain(Box::new(io::stderr()));
            Audience::people(
                HumanReporter::new(detail, style, false),
                detail,
                [style, out_style],
                screen,
            )
        };
        Self::with(audience, Box::new(io::stdout()))
    }

    fn with(audience: Audience, out: Box<dyn Write + Send>) -> Self {
        Self {
            audience,
            out: Shared::new(out),
            log: Log::default(),
            started: Instant::now(),
        }
    }

    /// Writes the output of phases to a log file, too.
    pub(crate) fn log_to(&mut self, path: PathBuf) {
        self.log = Log::at(path);
    }

    /// Returns the time since the printer was made.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether the output is JSON for programs.
    pub(crate) fn is_for_programs(&self) -> bool {
        matches!(self.audience, Audience::Programs(_))
    }

    /// Returns how much locald prints.
    pub(crate) fn detail(&self) -> Detail {
        match &self.audience {
            Audience::People(people) => people.detail,
            Audience::Programs(_) => Detail::Normal,
        }
    }

    /// Prints text of locald's own without changes: help, scripts.
    pub(crate) fn text(&mut self, text: &str) {
        self.out.text(text);
    }

    /// Reports that the user stopped the command.
    pub(crate) fn stopped(&mut self) {
        self.failure(&Failure::new(FailureKind::Cancelled, "stopped"));
    }

    /// Prints an event of the agent.
    pub(crate) fn event(&mut self, event: &Event) {
        let now = self.started.elapsed();
        if let Event::PhaseStarted(phase) = event {
            self.log.line(phase::heading(*phase));
        }
        match &mut self.audience {
            Audience::People(people) => {
                let mut lines = people.reporter.event(event, now);
                if is_end_of_build(event) {
                    lines.extend(people.reporter.warnings(self.log.flush()));
                }
                people.show(&lines, now);
            }
            Audience::Programs(reporter) => {
                reporter
                    .event(event)
                    .iter()
                    .for_each(|json| write_json(&self.out, json));
            }
        }
    }

    /// Prints output of a phase.
    pub(crate) fn output(&mut self, channel: Channel, bytes: &[u8]) {
        let now = self.started.elapsed();
        let log = &mut self.log;
        match &mut self.audience {
            Audience::People(people) => {
                let lines = people
                    .reporter
                    .output(channel, bytes, |line| log.line(line));
                people.show(&lines, now);
            }
            Audience::Programs(reporter) => {
                let jsons = reporter.output(channel, bytes, |line| log.line(line));
                jsons.iter().for_each(|json| write_json(&self.out, json));
            }
        }
    }

    /// Updates the live lines, which show times.
    pub(crate) fn tick(&mut self) {
        let now = self.started.elapsed();
        if let Audience::People(people) = &mut self.audience {
            people.show(&[], now);
        }
    }

    /// Prints a message that needs no action.
    pub(crate) fn note(&mut self, message: &str) {
        match &mut self.audience {
            Audience::People(people) if people.detail == Detail::Quiet => {}
            Audience::People(people) => people.screen.print(&clean(message)),
            Audience::Programs(_) => write_json(&self.out, &Json::Note { message }),
        }
    }

    /// Prints a finished step of a machine's start.
    pub(crate) fn machine_step(&mut self, step: &StartStep) {
        match &mut self.audience {
            Audience::People(people) if people.detail == Detail::Quiet => {}
            Audience::People(people) => {
                let text = format!(
                    "  {:<8} {}",
                    clean(&step.name),
                    measure::duration(step.time)
                );
                people.screen.print(&text);
            }
            Audience::Programs(_) => write_json(
                &self.out,
                &Json::MachineStep {
                    step: &step.name,
                    milliseconds: u64::try_from(step.time.as_millis()).unwrap_or(u64::MAX),
                },
            ),
        }
    }

    /// Prints a warning, with a hint if there is one.
    pub(crate) fn warning(&mut self, message: &str, hint: Option<&str>) {
        self.event(&Event::Warning {
            message: message.to_owned(),
            hint: hint.map(str::to_owned),
        });
    }

    /// Prints the result of a command to standard output.
    pub(crate) fn answer(&mut self, answer: &Answer) {
        let lines = match &self.audience {
            Audience::Programs(_) => return write_json(&self.out, answer.json()),
            Audience::People(people) => answer.lines(people.detail, people.style),
        };
        self.clear();
        self.out.lines(&lines);
    }

    /// Prints the failure of a command. It includes the full output of a failed
    /// phase.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        let log = &mut self.log;
        match &mut self.audience {
            Audience::People(people) => {
                let mut failure = failure.clone();
                let told = people.reporter.fail(&mut failure, |line| log.line(line));
                people.screen.show(&told, &[]);
                let path = log.close();
                let lines = failure_lines(&failure, path.as_deref(), people.style);
                people.screen.show(&lines, &[]);
            }
            Audience::Programs(reporter) => {
                let rest = reporter.flush(|line| log.line(line));
                rest.iter().for_each(|json| write_json(&self.out, json));
                let path = log.close();
                write_json(&self.out, Json::failed(failure, path.as_deref()));
            }
        }
    }

    /// Checks that standard output took everything. A script that reads an
    /// incomplete output must notice that from the exit code. Returns the exit
    /// code of the failure.
    pub(crate) fn finish(self) -> Result<(), u8> {
        let Some(error) = self.out.error() else {
            return Ok(());
        };
        let kind = if protocol::is_full(&error) {
            FailureKind::DiskFull
        } else {
            FailureKind::Store
        };
        let mut failure = Failure::from_error(kind, &error);
        let cause = std::mem::take(&mut failure.message);
        failure.message = format!("standard output cannot be written: {cause}");
        let style = Style::new(false);
        Shared::new(Box::new(io::stderr())).lines(&failure_lines(&failure, None, style));
        Err(exit_code::of(failure.kind))
    }

    /// Returns a handle that hides the live lines, for job control.
    pub(crate) fn live_lines(&self) -> LiveLines {
        match &self.audience {
            Audience::People(people) => people.screen.live_lines(),
            Audience::Programs(_) => LiveLines::default(),
        }
    }

    /// Removes the live lines, so that another program can write to the
    /// terminal.
    pub(crate) fn clear(&mut self) {
        if let Audience::People(people) = &mut self.audience {
            people.screen.clear();
        }
    }
}

impl Audience {
    fn people(reporter: HumanReporter, detail: Detail, styles: [Style; 2], screen: Screen) -> Self {
        let [style, out_style] = styles;
        Self::People(Box::new(People {
            reporter,
            detail,
            style,
            out_style,
            screen,
        }))
    }
}

impl People {
    fn show(&mut self, lines: &[String], now: Duration) {
        let live = self.reporter.live(now, self.screen.columns());
        self.screen.show(lines, &live);
    }
}

/// Whether a stream gets colours. `Auto` follows the terminal, `NO_COLOR`,
/// `CLICOLOR_FORCE` and similar variables.
fn wants_colour(choice: Colour, stream: &impl anstream::stream::RawStream) -> bool {
    match choice {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never,
    }
}

fn write_json(out: &Shared, json: impl serde::Serialize) {
    // Serialising these types cannot fail.
    if let Ok(text) = serde_json::to_string(&json) {
        out.line(&text);
    }
}

/// Whether the build is complete. After the export, only the upload can fail.
fn is_end_of_build(event: &Event) -> bool {
    matches!(
        event,
        Event::PhaseEnded {
            phase: Phase::Export,
            ..
        }
    )
}

fn failure_lines(failure: &Failure, log: Option<&Path>, style: Style) -> Vec<String> {
    let message = clean(&failure.message);
    let mut lines = vec![format!("{} {message}", style.error("error:"))];
    for cause in &failure.causes {
        lines.push(format!("  {} {}", style.dim("cause:"), clean(cause)));
    }
    if let Some(path) = log {
        let path = path.display().to_string();
        lines.push(format!("  {} {}", style.dim("full log:"), clean(&path)));
    }
    if let Some(hint) = &failure.hint {
        lines.push(format!("{} {}", style.hint("hint:"), clean(hint)));
    }
    lines
}

#[cfg(test)]
mod tests;
