//! Faults at any moment: nothing keeps running, and the next build works.

use std::process::Command;
use std::time::{Duration, Instant};

use harness::{App, await_that, builder, locald, processes, setting, unique};
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

/// Runs a script where a small file system, on which the given directory is,
/// ends with it.
fn on_a_small_disk(size: &str, script: &str) -> std::process::Output {
    let directory = tempfile::tempdir().unwrap();
    let script = format!(
        "set -e; mount -t tmpfs -o size={size} small {0}; export LOCALD_HOME={0}/home; \
         unset LOCALD_AGENT; {script}",
        directory.path().display()
    );
    let mut command = Command::new("unshare");
    if rustix::process::geteuid().is_root() {
        command.arg("--mount");
    } else {
        command.args(["--user", "--map-root-user", "--mount"]);
    }
    command.args(["sh", "-c", &script]).output().unwrap()
}

#[test]
fn a_full_disk_is_named_and_what_was_there_stays() {
    let app = App::probe("true");
    let script = format!(
        "{bin} image ls; {bin} build '{app}' -t full --builder {builder} || echo \"exit code $?\"; \
         {bin} image ls --json",
        bin = setting("LOCALD_BIN"),
        app = app.text(),
        builder = builder(),
    );
    let output = on_a_small_disk("60m", &script);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stdout.contains("exit code 120"), "{stdout}{stderr}");
    assert!(stderr.contains("No space left"), "{stderr}");
    assert!(output.status.success(), "{stdout}{stderr}");
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
    let said = format!("{}{}", output.stdout, output.stderr);
    assert!(said.contains("100001"), "{said}");
}
