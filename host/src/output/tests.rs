//! Tests of whole commands: the output for people and for programs.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io;
use std::sync::{Arc, Mutex};

use protocol::event::{Built, Phase, PullEvent};
use protocol::{Channel, Event, Failure, FailureKind};

use super::live::tests::Emulator;
use super::*;

/// A stream whose content a test can read.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Makes a printer without a terminal. Returns its standard output and standard
/// error, too.
fn people(detail: Detail) -> (Printer, Buffer, Buffer) {
    let (out, err) = (Buffer::default(), Buffer::default());
    let screen = Screen::plain(Box::new(err.clone()));
    let style = Style::new(false);
    let reporter = HumanReporter::new(detail, style, false);
    let audience = Audience::people(reporter, detail, [style, style], screen);
    (Printer::with(audience, Box::new(out.clone())), out, err)
}

fn programs() -> (Printer, Buffer) {
    let out = Buffer::default();
    let audience = Audience::Programs(json::JsonReporter::default());
    (Printer::with(audience, Box::new(out.clone())), out)
}

fn digest() -> String {
    format!("sha256:{}", "ab".repeat(32))
}

/// Prints a build up to its outcome.
fn tell(printer: &mut Printer) {
    let image = || "localhost:5000/builder".to_owned();
    printer.event(&Event::Pull(PullEvent::Resolved {
        image: image(),
        digest: digest(),
        layers: 3,
        missing: 2,
        bytes: 1_500_000,
    }));
    printer.event(&Event::Pull(PullEvent::Retry {
        image: image(),
        reason: "the registry says 503".to_owned(),
        millis: 1000,
    }));
    printer.event(&Event::PhaseStarted(Phase::Detect));
    printer.output(
        Channel::Stdout,
        b"1 of 2 buildpacks \x1b]0;evil\x07participating\nunfini",
    );
    printer.output(Channel::Stdout, b"shed");
    printer.event(&Event::PhaseEnded {
        phase: Phase::Detect,
        millis: 1200,
    });
    printer.warning("a socket is left out", Some("name it in .dockerignore"));
}

fn built() -> Answer {
    Answer::Built {
        built: Built {
            digest: digest(),
            names: vec!["shop".to_owned()],
            size: 61_400_000,
            up_to_date: false,
            published: Vec::new(),
            buildpacks: vec!["demo/python 1.0".to_owned()],
        },
        builder: Some("a/b, the default".to_owned()),
        elapsed: Duration::from_millis(3210),
    }
}

fn failure() -> Failure {
    let mut failure = Failure::new(FailureKind::Lifecycle { code: 20 }, "no buildpack matches");
    failure.causes.push("all of them\n\x1b[2Jfailed".to_owned());
    failure.with_hint("add a file")
}

#[test]
fn people_read_a_build_without_a_terminal() {
    let (mut printer, out, err) = people(Detail::Normal);
    tell(&mut printer);
    printer.answer(&built());
    insta::assert_snapshot!(format!("{}---\n{}", err.text(), out.text()), @r"
    Pulling localhost:5000/builder: 2 layers, 1.5 MB
    localhost:5000/builder: the registry says 503; trying again in 1.0 s
    ===> DETECTING
    1 of 2 buildpacks participating
    unfinished
    warning: a socket is left out
    hint: name it in .dockerignore
    ---
    Built shop (sha256:abababababab, 61 MB) in 3.2 s
      builder: a/b, the default
      buildpacks: demo/python 1.0
      start it: locald run shop
    ");
}

#[test]
fn quiet_people_read_the_digest() {
    let (mut printer, out, err) = people(Detail::Quiet);
    tell(&mut printer);
    printer.note("not told");
    printer.answer(&built());
    assert_eq!(out.text(), format!("{}\n", digest()));
    assert_eq!(
        err.text(),
        "warning: a socket is left out\nhint: name it in .dockerignore\n"
    );
}

#[test]
fn a_failure_shows_what_was_hidden() {
    let (mut printer, out, err) = people(Detail::Quiet);
    printer.event(&Event::PhaseStarted(Phase::Build));
    printer.output(Channel::Stderr, b"no such compiler\n");
    printer.failure(&failure());
    assert_eq!(out.text(), "");
    insta::assert_snapshot!(err.text(), @r"
    ===> BUILDING
    no such compiler
    error: no buildpack matches
      cause: all of them failed
    hint: add a file
    ");
}

/// Makes a printer with a terminal of 80 columns. Returns its standard output
/// and the terminal, too.
fn in_terminal() -> (Printer, Buffer, Emulator) {
    let (out, emulator) = (Buffer::default(), Emulator::new(80, 24));
    let screen = Screen::terminal(Box::new(emulator.clone()), Box::new(emulator.clone()));
    let style = Style::new(false);
    let reporter = HumanReporter::new(Detail::Normal, style, true);
    let audience = Audience::people(reporter, Detail::Normal, [style, style], screen);
    let printer = Printer::with(audience, Box::new(out.clone()));
    (printer, out, emulator)
}

#[test]
fn warnings_of_a_build_that_succeeds_are_shown_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut printer, _, emulator) = in_terminal();
    printer.log_to(folder.path().join("shop.log"));
    tell(&mut printer);
    printer.event(&Event::PhaseStarted(Phase::Build));
    printer.output(
        Channel::Stderr,
        b"Compiling\nwarning: unused\n --> main.rs\n\nmore\nwarning: unused\n",
    );
    for phase in [Phase::Build, Phase::Export] {
        printer.event(&Event::PhaseEnded { phase, millis: 600 });
    }
    let path = folder.path().display().to_string();
    let text = emulator.text().join("\n").replace(&path, "LOGS");
    insta::assert_snapshot!(text);
    let log = fs_err::read_to_string(folder.path().join("shop.log")).unwrap();
    assert!(log.contains("warning: unused"), "{log}");
}

#[test]
fn a_failure_says_its_thing_once() {
    let (mut printer, _, emulator) = in_terminal();
    printer.event(&Event::PhaseStarted(Phase::Build));
    printer.output(
        Channel::Stdout,
        b"\tno such compiler\nERROR: failed to build: exit status 7\n",
    );
    printer.failure(&failure());
    insta::assert_snapshot!(emulator.text().join("\n"));
}

#[test]
fn who_stops_a_build_does_not_read_all_of_its_output() {
    let (mut printer, _, emulator) = in_terminal();
    printer.event(&Event::PhaseStarted(Phase::Build));
    printer.output(Channel::Stdout, b"one\ntwo\nthree\n");
    printer.stopped();
    assert_eq!(emulator.text(), ["error: stopped"]);
}

#[test]
fn a_pull_that_is_tried_again_says_so_in_a_terminal() {
    let (mut printer, _, emulator) = in_terminal();
    tell(&mut printer);
    let text = emulator.text().join("\n");
    let retry = "localhost:5000/builder: the registry says 503; trying again in 1.0 s";
    assert!(text.contains(retry), "{text}");
}

#[test]
fn a_full_disk_below_standard_output_is_a_failure() {
    struct Full(io::ErrorKind);

    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let finish = |error| {
        let audience = Audience::Programs(json::JsonReporter::default());
        let mut printer = Printer::with(audience, Box::new(Full(error)));
        printer.answer(&built());
        printer.finish()
    };
    assert_eq!(
        finish(io::ErrorKind::StorageFull),
        Err(exit_code::DISK_FULL)
    );
    assert_eq!(finish(io::ErrorKind::BrokenPipe), Ok(()));
}

#[test]
fn what_goes_on_aside_leaves_one_line_or_all() {
    let (printer, out, err) = people(Detail::Normal);
    let mut background = printer.background();
    tell(&mut background);
    background.note("built shop");
    background.event(&Event::PhaseStarted(Phase::Build));
    background.output(Channel::Stderr, b"no such compiler\n");
    background.failure(&failure());
    assert_eq!(out.text(), "");
    insta::assert_snapshot!(err.text());
}

#[test]
fn services_write_under_their_names() {
    let label = |name: &str| Label {
        name: name.to_owned(),
        width: 6,
        number: 0,
    };
    let (mut printer, out, err) = people(Detail::Normal);
    let mut background = printer.background();
    background.service_line(Some(&label("web")), Channel::Stdout, "\x1b[2Jup");
    printer.service_line(Some(&label("worker")), Channel::Stderr, "\x1b[31mred");
    printer.service_line(None, Channel::Stdout, "alone");
    printer.service_state("web", "healthy", "web is up");
    assert_eq!(out.text(), "web    | up\nworker | red\nalone\n");
    assert_eq!(err.text(), "web is up\n");
    let (mut printer, out) = programs();
    printer.service_line(Some(&label("web")), Channel::Stderr, "\x1b[2Jup");
    printer.service_state("web", "healthy", "web is up");
    insta::assert_snapshot!(out.text(), @r#"
    {"event":"service-output","service":"web","stream":"stderr","line":"up"}
    {"event":"service","service":"web","state":"healthy","message":"web is up"}
    "#);
}

#[test]
fn people_read_how_services_are() {
    use crate::report::{ServiceState, ServiceStatus};
    let status = |state, port| ServiceStatus {
        state,
        port,
        restarts: 2,
        since: measure::now(),
    };
    let statuses = [
        ("web".to_owned(), status(ServiceState::Healthy, Some(8080))),
        ("job".to_owned(), status(ServiceState::Ended(3), None)),
    ];
    let (mut printer, out, _) = people(Detail::Normal);
    printer.answer(&Answer::Services(statuses.into()));
    insta::assert_snapshot!(out.text(), @r"
    SERVICE  STATE         SINCE  PORT  RESTARTS
    job      ended with 3  0 s    -     2
    web      restarting    0 s    8080  2
    ");
}

#[test]
fn programs_read_objects() {
    let (mut printer, out) = programs();
    tell(&mut printer);
    printer.answer(&built());
    printer.failure(&failure());
    insta::assert_snapshot!(out.text());
    for line in out.text().lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(object["event"].is_string());
    }
}

#[test]
fn nothing_comes_between_the_parts_of_an_object() {
    /// Marks the end of each write.
    struct Pieces(Buffer);

    impl io::Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write_all(&[bytes, b"|"].concat())?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let out = Buffer::default();
    let audience = Audience::Programs(json::JsonReporter::default());
    let printer = Printer::with(audience, Box::new(Pieces(out.clone())));
    printer
        .background()
        .service_state("web", "healthy", "web is up");
    insta::assert_snapshot!(out.text(), @r#"
    {"event":"service","service":"web","state":"healthy","message":"web is up"}
    |
    "#);
}

#[test]
fn every_json_event_is_documented() {
    let page = include_str!("../../../docs/json.md");
    for source in [include_str!("answer.rs"), include_str!("details.rs")] {
        let mut rest = source;
        while let Some((_, after)) = rest.split_once("\"event\": \"") {
            let name = after.split('"').next().unwrap();
            assert!(
                page.contains(&format!("`{name}`")),
                "{name} is not in docs/json.md"
            );
            rest = after;
        }
    }
    let (mut printer, out) = programs();
    tell(&mut printer);
    printer.failure(&failure());
    for line in out.text().lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = object["event"].as_str().unwrap();
        assert!(
            page.contains(&format!("`{name}`")),
            "{name} is not in docs/json.md"
        );
    }
}
