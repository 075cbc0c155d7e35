//! `locald run --watch`.

use std::process::Command;

use harness::{
    App, Locald, Running, await_that, builder, free_port, locald, processes, setting, shared_home,
    unique,
};
use rustix::process::Signal;

use super::agent::Agent;

/// The demo's application with settings of its own.
fn app() -> App {
    let app = App::web();
    let (builder, name) = (builder(), unique("watched"));
    let settings = format!("[build]\nbuilder = \"{builder}\"\nname = \"{name}\"\n");
    app.write("locald.toml", &settings);
    app.write(".gitignore", "*.log\n");
    app
}

fn say(app: &App, words: &str) {
    let page = include_str!("../../../scripts/demo-app/app.py");
    app.write("app.py", &page.replace("Hello from", words));
}

fn watch(app: &App, port: &str) -> Running {
    locald(["run", &app.text(), "--watch", "-e", &format!("PORT={port}")])
        .job()
        .start()
}

fn await_page(port: &str, words: &str) {
    await_that(&format!("the page says {words:?}"), || {
        harness::page(port).contains(words)
    });
}

#[test]
fn a_change_becomes_the_page_and_ctrl_c_ends_both() {
    let (app, port) = (app(), free_port().to_string());
    let mut running = watch(&app, &port);
    running.await_output("listening on");
    await_page(&port, "Hello from");

    say(&app, "Good day from");
    await_page(&port, "Good day from");

    // Files that do not belong to the source are none of its business; a file
    // that does, in a folder that is new, is.
    app.write("app.log", "noise");
    app.write("new/module.py", "VALUE = 1\n");
    running.await_output("new/module.py");
    app.write("new/module.py", "VALUE = 2\n");
    running.await_output("new/module.py changed: built");

    running.ctrl_c();
    let output = running.wait();
    assert_eq!(output.code, 130, "{}", output.stderr);
    assert!(!output.stderr.contains("error"), "{}", output.stderr);
    assert!(!output.stderr.contains("app.log"), "{}", output.stderr);
    // What builds well leaves one line.
    let (_, after) = output.stderr.split_once("Watching").unwrap();
    assert!(!after.contains("===>"), "{after}");
    assert!(std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err());
}

#[test]
fn a_build_that_fails_is_shown_and_the_old_process_stays() {
    let (app, port) = (app(), free_port().to_string());
    let mut running = watch(&app, &port);
    await_page(&port, "Hello from");

    app.write("app.py", "def (\n");
    running.await_output("SyntaxError");
    running.await_output("The old process keeps running");
    assert!(harness::page(&port).contains("Hello from"));

    // The same again is the same image, and the same process.
    say(&app, "Hello from");
    running.await_output("stays the same");
    say(&app, "Good night from");
    await_page(&port, "Good night from");
    running.signal(Signal::TERM);
    let output = running.wait();
    assert_eq!(output.code, 143, "{}", output.stderr);
    let starts = output.stdout.matches("listening on").count();
    assert_eq!(starts, 2, "{}", output.stdout);
}

#[test]
fn what_does_not_build_at_first_starts_when_it_does() {
    let (app, port) = (app(), free_port().to_string());
    app.write("app.py", "def (\n");
    let mut running = watch(&app, &port);
    running.await_output("Watching");
    say(&app, "Good morning from");
    await_page(&port, "Good morning from");
}

#[test]
fn what_ends_waits_for_a_change_and_what_is_killed_leaves_nothing() {
    let app = app();
    let mark = 300_000 + std::process::id();
    let script = format!("echo once; sleep {mark}");
    let command = ["run", "--watch", "--command", &app.text(), "--"];
    let mut ends = locald([&command[..], &["sh", "-c", "echo once; exit 3"]].concat()).start();
    ends.await_output("ended with 3");
    say(&app, "Another");
    ends.await_output("app.py changed: built");
    drop(ends);

    let mut killed = locald([&command[..], &["sh", "-c", &script]].concat()).start();
    killed.await_output("once");
    killed.signal(Signal::KILL);
    killed.wait();
    await_that("the process is gone", || {
        processes(&format!("sleep {mark}")).is_empty()
    });
}

#[test]
fn what_changes_during_a_build_is_built_after_it() {
    let app = App::probe("true");
    let (builder, name) = (builder(), unique("watched"));
    let settings = format!("[build]\nbuilder = \"{builder}\"\nname = \"{name}\"\n");
    app.write("locald.toml", &settings);
    app.write("late.txt", "not yet");
    let command = ["run", "--watch", "--command", &app.text(), "--"];
    let mut running = locald([&command[..], &["cat", "late.txt"]].concat()).start();
    running.await_output("not yet");
    let sleep = format!("sleep 1.{}", std::process::id());
    app.write("probe.sh", &sleep);
    await_that("the build sleeps", || !processes(&sleep).is_empty());
    app.write("late.txt", "it is late");
    running.await_output("it is late");
    running.signal(Signal::INT);
    let said = running.wait().stderr;
    let builds = said.lines().filter(|line| line.contains("changed: built"));
    let builds: Vec<_> = builds.collect();
    assert_eq!(builds.len(), 2, "{said}");
    assert!(builds[1].starts_with("late.txt"), "{said}");
}

/// In a user namespace, which has limits of its own, below those of the system.
#[test]
fn where_nothing_can_be_watched_changes_are_looked_for() {
    let directory = tempfile::tempdir().unwrap();
    let (_agent, address) = Agent::serve(directory.path());
    for (limit, count, remedy) in [
        ("max_inotify_watches", 1, "fs.inotify.max_user_watches"),
        ("max_inotify_instances", 0, "fs.inotify.max_user_instances"),
    ] {
        let (app, port) = (app(), free_port().to_string());
        app.write("one/file", "");
        app.write("two/file", "");
        let script = format!("echo {count} > /proc/sys/user/{limit} && exec \"$0\" \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "sh", "-c", &script]);
        command.args([&setting("LOCALD_BIN"), "run", &app.text(), "--watch"]);
        command.args(["-e", &format!("PORT={port}")]);
        command
            .env("LOCALD_HOME", shared_home())
            .env("LOCALD_AGENT", &address)
            .env_remove("LOCALD_MACHINE");
        let mut running = Locald::of(command).start();
        running.await_output(remedy);
        await_page(&port, "Hello from");
        say(&app, "Good day from");
        await_page(&port, "Good day from");
        // What is wrong is told once, however often it is looked at.
        app.write("locald.toml", "[biuld]\n");
        running.await_output("unknown key `biuld`");
        app.write("locald.toml", "[build]\nbuidler = \"x\"\n");
        running.await_output("unknown key `buidler`");
        running.signal(Signal::TERM);
        let said = running.wait().stderr;
        assert_eq!(said.matches("unknown key").count(), 2, "{said}");
    }
}

#[test]
fn an_image_cannot_be_watched() {
    locald(["run", "shop:1", "--watch"]).fail(111, "--watch needs one");
}
