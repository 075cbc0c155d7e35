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

/// How much people want to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Errors and the answer.
    Quiet,
    /// What matters.
    Normal,
    /// All output of all phases.
    Verbose,
}

/// How the output looks, as the command line has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutputOptions {
    /// Whether a program reads it.
    pub(crate) json: bool,
    pub(crate) detail: Detail,
    pub(crate) colour: Colour,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// As `NO_COLOR`, `CLICOLOR_FORCE` and their like say.
    Auto,
    Always,
    Never,
}

/// Writes for people or for programs.
pub(crate) struct Printer {
    audience: Audience,
    out: Shared,
    log: Log,
    started: Instant,
}

/// Whom the printer speaks to.
enum Audience {
    People(Box<People>),
    Programs(json::JsonReporter),
}

struct People {
    reporter: HumanReporter,
    detail: Detail,
    style: Style,
    /// Of what goes to standard output.
    out_style: Style,
    screen: Screen,
}

impl Printer {
    /// A printer for this process's standard streams.
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

    /// Where the output of phases is kept as well.
    pub(crate) fn log_to(&mut self, path: PathBuf) {
        self.log = Log::at(path);
    }

    /// Since the printer was made.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether a program reads what is told.
    pub(crate) fn is_for_programs(&self) -> bool {
        matches!(self.audience, Audience::Programs(_))
    }

    /// How much is to be told.
    pub(crate) fn detail(&self) -> Detail {
        match &self.audience {
            Audience::People(people) => people.detail,
            Audience::Programs(_) => Detail::Normal,
        }
    }

    /// Text of locald's own, as it is: help, scripts.
    pub(crate) fn text(&mut self, text: &str) {
        self.out.text(text);
    }

    /// A command ends because its user wants so.
    pub(crate) fn stopped(&mut self) {
        self.failure(&Failure::new(FailureKind::Cancelled, "stopped"));
    }

    /// Tells what the agent says about its work.
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

    /// Tells what a phase writes.
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

    /// Time has passed: live lines may have to be drawn again.
    pub(crate) fn tick(&mut self) {
        let now = self.started.elapsed();
        if let Audience::People(people) = &mut self.audience {
            people.show(&[], now);
        }
    }

    /// Something that people should know, and that is nothing to worry about.
    pub(crate) fn note(&mut self, message: &str) {
        match &mut self.audience {
            Audience::People(people) if people.detail == Detail::Quiet => {}
            Audience::People(people) => people.screen.print(&clean(message)),
            Audience::Programs(_) => write_json(&self.out, &Json::Note { message }),
        }
    }

    /// A step of a machine's start is done.
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

    /// Something that people should know, and perhaps mend.
    pub(crate) fn warning(&mut self, message: &str, hint: Option<&str>) {
        self.event(&Event::Warning {
            message: message.to_owned(),
            hint: hint.map(str::to_owned),
        });
    }

    /// What a command was asked for.
    pub(crate) fn answer(&mut self, answer: &Answer) {
        let lines = match &self.audience {
            Audience::Programs(_) => return write_json(&self.out, answer.json()),
            Audience::People(people) => answer.lines(people.detail, people.style),
        };
        self.clear();
        self.out.lines(&lines);
    }

    /// Why a command failed. An error never folds: a phase that failed is
    /// shown in full.
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

    /// Whether all that was to be said is written: a script that reads half of
    /// it must not believe that this was all.
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

    /// What hides live lines while a shell has the terminal.
    pub(crate) fn live_lines(&self) -> LiveLines {
        match &self.audience {
            Audience::People(people) => people.screen.live_lines(),
            Audience::Programs(_) => LiveLines::default(),
        }
    }

    /// Takes live lines away, before somebody else writes to the terminal.
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

/// As `NO_COLOR`, `CLICOLOR_FORCE` and their like say, when nobody chose.
fn wants_colour(choice: Colour, stream: &impl anstream::stream::RawStream) -> bool {
    match choice {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never,
    }
}

fn write_json(out: &Shared, json: impl serde::Serialize) {
    // Types of ours always serialise.
    if let Ok(text) = serde_json::to_string(&json) {
        out.line(&text);
    }
}

/// After the export nothing of a build can fail but its publication.
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
