//! Faults at any moment: nothing keeps running, and the next build works.

use std::time::{Duration, Instant};

use harness::{App, await_that, builder, locald, processes, unique};
use rustix::process::Signal;

use super::build;

/// A build is stopped again and again, each time a little later.
fn stopped_at_any_moment(signal: Signal) {
    let (app, name) = (App::probe("true"), unique("any-moment"));
    build(&app, &name);
    for step in 0..12 {
        app.write("changing", &step.to_string());
        let arguments = ["build", &app.text(), "-t", &name, "--builder", &builder()];
        let running = locald(arguments).start();
        std::thread::park_timeout(Duration::from_millis(step * 60));
        running.signal(signal);
        let start = Instant::now();
        let id = running.id();
        running.wait();
        await_that("all containers are gone", || own_containers(id).is_empty());
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
    }
    build(&app, &name);
    locald(["run", "--command", &name, "--", "true"]).succeed();
}

/// Phases that a process with this id has started: their host names tell.
fn own_containers(id: u32) -> Vec<String> {
    let id = id.to_string();
    let agents = processes("__locald-container");
    let of_it = |line: &String| line.split(':').next().is_some_and(|pid| parent(pid) == id);
    agents.into_iter().filter(of_it).collect()
}

fn parent(pid: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:\t"));
    line.unwrap_or_default().to_owned()
}

#[test]
fn ctrl_c_at_any_moment() {
    stopped_at_any_moment(Signal::INT);
}

#[test]
fn a_killed_host_at_any_moment() {
    stopped_at_any_moment(Signal::KILL);
}

#[test]
fn a_hundred_thousand_files() {
    let app = App::probe("find /workspace -type f | wc -l");
    for folder in 0..100 {
        let folder = app.path().join(format!("folder-{folder}"));
        fs_err::create_dir(&folder).unwrap();
        for file in 0..1000 {
            fs_err::write(folder.join(format!("{file}.txt")), "").unwrap();
        }
    }
    let name = unique("many");
    let arguments = [
        "build",
        &app.text(),
        "-t",
        &name,
        "--builder",
        &builder(),
        "-v",
    ];
    let output = locald(arguments).succeed();
    let said = output.all();
    assert!(said.contains("100001"), "{said}");
}
