//! A buildpack that tries what it can, from inside detect, build and a shell.
//! SECURITY.md has a line for each of its attempts.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use harness::{App, Bait, CANARY, Locald, builder, locald, processes, shared_home, unique};

pub(super) const ATTEMPTS: &str = include_str!("../../fixtures/hostile/attempts.py");

/// The buildpack, an application that tells it where the bait is, and the bait.
pub(super) struct Hostile {
    pub(super) app: App,
    buildpack: App,
    bait: Bait,
}

impl Hostile {
    pub(super) fn new(secrets: &[&str]) -> Self {
        let hostile = Self {
            app: App::empty("hostile"),
            buildpack: App::empty("buildpack"),
            bait: Bait::new(),
        };
        hostile.bait.describe(&hostile.app, &shared_home(), secrets);
        hostile.app.write("attempts.py", ATTEMPTS);
        let pack = &hostile.buildpack;
        pack.write(
            "buildpack.toml",
            "api = \"0.10\"\n[buildpack]\nid = \"test/hostile\"\nversion = \"0.1.0\"\n[[stacks]]\nid = \"*\"\n[[targets]]\nos = \"linux\"\n",
        );
        pack.write("attempts.py", ATTEMPTS);
        for phase in ["detect", "build"] {
            let path = format!("bin/{phase}");
            let script =
                format!("#!/bin/sh\nexec python3 \"$CNB_BUILDPACK_DIR/attempts.py\" {phase}\n");
            pack.write(&path, &script);
            let mode = std::fs::Permissions::from_mode(0o755);
            fs_err::set_permissions(pack.path().join(path), mode).unwrap();
        }
        hostile
    }

    pub(super) fn build(&self, name: &str, options: &[&str]) -> Locald {
        self.build_with(&builder(), name, options)
    }

    pub(super) fn build_with(&self, builder: &str, name: &str, options: &[&str]) -> Locald {
        let (app, pack) = (self.app.text(), self.buildpack.text());
        let base = [
            "build",
            &app,
            "-t",
            name,
            "--builder",
            builder,
            "-b",
            &pack,
            "-v",
        ];
        locald([&base[..], options].concat())
    }
}

/// Outcomes by attempt, for each time that the program ran.
pub(super) fn outcomes(said: &str) -> Vec<BTreeMap<String, String>> {
    let mut runs: Vec<BTreeMap<String, String>> = Vec::new();
    let attempts = said.lines().filter_map(|line| line.split_once("attempt "));
    for (name, outcome) in attempts.filter_map(|(_, attempt)| attempt.rsplit_once(": ")) {
        match runs.last_mut() {
            Some(run) if !run.contains_key(name) => {
                run.insert(name.to_owned(), outcome.to_owned());
            }
            _ => runs.push(BTreeMap::from([(name.to_owned(), outcome.to_owned())])),
        }
    }
    runs
}

/// The outcomes that an attempt may have where the phase has a network of its
/// own; other than these fail the test.
pub(super) fn allowed(attempt: &str) -> &'static [&'static str] {
    let root = rustix::process::geteuid().is_root();
    match attempt {
        _ if attempt.starts_with("see ") => &["nothing found"],
        "read the home of root" if !root => &["done"],
        "read the home of root" => &["EACCES"],
        _ if attempt.starts_with("read file ") => &["ENOENT"],
        _ if attempt.starts_with("open ") && attempt.ends_with(" of init") => &["EACCES"],
        "reach a socket file" | "reach docker" => &["ENOENT"],
        "reach a vsock" => &["EPERM"],
        _ if attempt.starts_with("reach ") => &["ECONNREFUSED"],
        "write its own buildpack" | "write /platform/env/X" => &["EROFS"],
        _ if attempt.starts_with("write /proc") || attempt.starts_with("write /sys") => {
            &["EACCES", "EROFS", "ENOENT"]
        }
        // Without real root there is one id, which owns all files of the
        // builder; the change ends with the phase.
        _ if attempt.starts_with("write /") && !root => &["done"],
        _ if attempt.starts_with("write /") => &["EACCES"],
        "become root" if !root => &["EINVAL"],
        "steer the terminal" | "leave a process" | "leave traps in a layer" => &["done"],
        _ => &["EPERM"],
    }
}

/// Fails unless all attempts had outcomes that they may have, and there were
/// as many as there are in the program; `except` has other outcomes.
pub(super) fn assert_nothing_gained(run: &BTreeMap<String, String>, except: &[(&str, &str)]) {
    assert!(run.len() >= 53, "{}: {run:#?}", run.len());
    for (attempt, outcome) in run {
        match except.iter().find(|(name, _)| name == attempt) {
            Some((_, expected)) => assert_eq!(outcome, expected, "{attempt}"),
            None => assert!(
                allowed(attempt).contains(&outcome.as_str()),
                "{attempt}: {outcome}"
            ),
        }
    }
}

/// What a phase that shares the machine's network reaches of it.
pub(super) const SHARED: [(&str, &str); 2] = [
    ("reach a port of the machine", "done"),
    ("reach an abstract socket", "EPERM"),
];

#[test]
fn a_hostile_buildpack_gains_nothing() {
    let (hostile, name) = (Hostile::new(&[]), unique("hostile"));
    let built = hostile.build(&name, &[]).succeed();
    let said = built.all();
    let runs = outcomes(&said);
    assert_eq!(runs.len(), 2, "detect and build: {said}");
    assert_nothing_gained(&runs[0], &[]);
    assert_nothing_gained(&runs[1], &SHARED);
    assert_eq!(processes(&hostile.bait.daemon), [""; 0]);
    let steers = |it: char| it.is_control() && it != '\n' && it != '\t' || it == '\u{202e}';
    assert!(!said.contains(steers), "{said:?}");
    for hidden in ["TITLE", "CLIPBOARD", "HIDDEN"] {
        assert!(!said.contains(hidden), "{said}");
    }

    // What it has left is harmless to a shell, to a run, and to the next build.
    let inside = |command: &[&str]| {
        let app = hostile.app.text();
        let output = locald([&["shell", &app, "--"], command].concat()).succeed();
        output.all()
    };
    let runs = outcomes(&inside(&["python3", "attempts.py", "shell"]));
    let [port, socket] = SHARED;
    // The builder's own, and gone with the shell.
    let platform = ("write /platform/env/X", allowed("write /var/x")[0]);
    assert_nothing_gained(&runs[0], &[port, socket, platform]);
    assert!(!inside(&["env"]).contains(CANARY));
    let trap = "/layers/test_hostile/trap";
    let script = format!("stat -c %F {trap}/fifo; cat {trap}/link {trap}/env/file");
    let run = locald(["run", "--command", &name, "--", "sh", "-c", &script]).run();
    assert_eq!(run.stdout, "fifo\n", "{}", run.stderr);
    // The lifecycle caches a pipe, but does not restore one.
    hostile.app.write("changed", "");
    hostile.build(&name, &[]).fail(42, "--clear-cache");
    hostile.build(&name, &["--clear-cache"]).succeed();
}

#[test]
fn without_a_network_a_hostile_buildpack_reaches_nothing() {
    let (hostile, name) = (Hostile::new(&[]), unique("hostile"));
    let built = hostile.build(&name, &["--network", "none"]).succeed();
    let runs = outcomes(&built.all());
    assert_nothing_gained(&runs[1], &[]);
}

#[test]
fn a_file_that_is_larger_than_a_layer_is_not_exported() {
    for place in ["/layers/test_probe/big/hole", "/workspace/hole"] {
        let script = format!(
            "mkdir -p /layers/test_probe/big; truncate -s 4T {place}\n\
             printf '[types]\\nlaunch = true\\n' > /layers/test_probe/big.toml"
        );
        let (app, name) = (App::probe(&script), unique("sparse"));
        let arguments = ["build", &app.text(), "-t", &name, "--builder", &builder()];
        let failed = locald(arguments).fail(115, "64 GiB");
        assert!(failed.stderr.contains(place), "{}", failed.stderr);
        locald(["image", "inspect", &name]).fail(112, &name);
    }
}

#[test]
fn a_phase_does_not_steer_the_terminal() {
    let script =
        "printf '\\033]0;TITLE\\007\\033]52;c;CLIPBOARD\\007\\033[5n\\033[31mred\\n'; exit 1";
    let app = App::probe(script);
    let line = format!(
        "{} build '{}' -t {} --builder {} -v",
        harness::setting("LOCALD_BIN"),
        app.text(),
        unique("steer"),
        builder()
    );
    let said = harness::in_terminal(&line);
    assert!(said.contains("red"), "{said:?}");
    for steering in ["\u{1b}]", "TITLE", "CLIPBOARD", "\u{1b}[5n"] {
        assert!(!said.contains(steering), "{said:?}");
    }
}
