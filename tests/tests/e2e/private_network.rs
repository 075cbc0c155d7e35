//! `--network private`: pasta carries it. tests/tests/rust fetches crates by
//! one.

use harness::{App, await_that, builder, locald, processes, unique};
use rustix::process::Signal;

use super::hostile::{Hostile, assert_nothing_gained, outcomes};

const PRIVATE: [&str; 2] = ["--network", "private"];

#[test]
fn nothing_of_the_machine_is_in_it() {
    let (hostile, name) = (Hostile::new(&[]), unique("private"));
    let built = hostile.build(&name, &PRIVATE).succeed();
    let runs = outcomes(&built.all());
    assert_nothing_gained(&runs[1], &[]);
}

/// Whether a process belongs to another, or to one of that's.
fn belongs(process: &str, to: u32) -> bool {
    let status = fs_err::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:\t"));
    parent.is_some_and(|parent| parent == to.to_string() || belongs(parent, to))
}

/// The ids of all pastas.
fn pastas() -> Vec<String> {
    let lines = processes("--netns-only");
    let id = |line: &String| line.split(':').next().map(str::to_owned);
    lines.iter().filter_map(id).collect()
}

#[test]
fn it_ends_with_whoever_builds() {
    let app = App::probe("echo up; sleep 600");
    let name = unique("private");
    let folder = app.text();
    let line = ["build", &folder, "-t", &name, "--builder", &builder(), "-v"];
    let mut building = locald([&line[..], &PRIVATE].concat()).start();
    building.await_output("up");
    let mut running = pastas().into_iter();
    let pasta = running.find(|it| belongs(it, building.id())).unwrap();
    building.signal(Signal::KILL);
    building.wait();
    await_that("pasta is gone", || !pastas().contains(&pasta));
}

#[test]
fn without_pasta_it_is_refused() {
    let (app, empty) = (App::web(), tempfile::tempdir().unwrap());
    let name = unique("private");
    let folder = app.text();
    let line = ["build", &folder, "-t", &name, "--builder", &builder()];
    locald([&line[..], &PRIVATE].concat())
        .env("PATH", empty.path().to_str().unwrap())
        .fail(121, "apt install passt");
}
