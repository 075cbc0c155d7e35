//! Ctrl-C and kill -9 in every phase: nothing keeps running, and the next build
//! works.

use std::time::{Duration, Instant};

use harness::{App, Running, await_that, processes, unique};
use rustix::process::Signal;

/// A build that has come to a point where it waits.
fn waiting(app: &App, name: &str, sleep: &str) -> Running {
    let running = app.build(name).args(["-v"]).start();
    // The lifecycle shows what a detection says when it has ended.
    await_that("the script sleeps", || !processes(sleep).is_empty());
    running
}

fn app(script: &str, seconds: u32) -> App {
    let app = App::probe("true");
    app.write(script, &format!("exec sleep {seconds}\n"));
    app
}

fn check(script: &str, seconds: u32, signal: Signal) {
    let seconds = seconds * 100_000 + std::process::id() % 100_000;
    let (app, name) = (app(script, seconds), unique("stopped"));
    let sleep = format!("sleep {seconds}");
    let running = waiting(&app, &name, &sleep);
    running.signal(signal);
    let start = Instant::now();
    let output = running.wait();
    await_that("the phase is gone", || processes(&sleep).is_empty());
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "took {took:?}");
    if signal == Signal::INT {
        assert_eq!(output.code, 130, "{}", output.stderr);
    }
    app.write(script, "true");
    super::build(&app, &name);
}

#[test]
fn ctrl_c_in_detect() {
    check("detect.sh", 1, Signal::INT);
}

#[test]
fn ctrl_c_in_build() {
    check("probe.sh", 2, Signal::INT);
}

#[test]
fn kill_in_detect() {
    check("detect.sh", 3, Signal::KILL);
}

#[test]
fn kill_in_build() {
    check("probe.sh", 4, Signal::KILL);
}
