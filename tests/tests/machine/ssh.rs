//! A Linux machine that ssh reaches.

use std::time::{Duration, Instant};

use harness::{App, Remote, builder, free_port};
use rustix::process::Signal;

use harness::{busybox, in_busybox as run};

#[test]
fn an_agent_is_brought_builds_and_goes() {
    let remote = Remote::default();
    let status = remote.locald(["vm", "status", "--json"]).succeed();
    assert_eq!(status.json()[0]["state"], "absent");
    let app = App::web();
    let build = ["build", &app.text(), "-t", "web", "--builder", &builder()];
    let first = remote.locald(build).succeed();
    assert!(
        first.stderr.contains("Copying the agent"),
        "{}",
        first.stderr
    );
    let again = remote.locald(build).succeed();
    assert!(again.stdout.contains("up to date"), "{}", again.stdout);
    assert!(!again.stderr.contains("Copying"), "{}", again.stderr);

    let port = free_port().to_string();
    let mut running = remote
        .locald(["run", "web", "-e", &format!("PORT={port}")])
        .start();
    running.await_output(&format!("Port {port} is at"));
    let page = harness::page(&port);
    assert!(page.contains("user 1001, in /workspace"), "{page}");
    // Ctrl-C goes to the process, and not to ssh.
    running.signal(Signal::INT);
    assert_eq!(running.wait().code, 130);

    let status = remote.locald(["vm", "status", "--json"]).succeed();
    let status = &status.json()[0];
    assert_eq!(
        (&status["state"], &status["transport"]),
        (&"running".into(), &"ssh".into())
    );
    assert!(
        status["usage"]["layers"].as_u64().unwrap() > 1_000_000,
        "{status}"
    );
    remote.locald(["vm", "doctor"]).succeed();
    let shell = [
        "vm",
        "ssh",
        "--",
        "sh",
        "-c",
        "echo \"it's $1\"; exit 4",
        "sh",
        "a  b",
    ];
    let output = remote.locald(shell).run();
    assert_eq!((output.code, &*output.stdout), (4, "it's a  b\n"));
    let stop = remote.locald(["vm", "stop"]).succeed();
    assert!(stop.stderr.contains("nothing to do"), "{}", stop.stderr);
    remote.locald(["vm", "reset"]).fail(111, "--yes");
    remote.locald(["vm", "reset", "--yes"]).succeed();
    assert!(!remote.home().join(".cache/locald/agents").exists());
    let layers = remote.home().join(".local/share/locald/store/layers");
    assert_eq!(fs_err::read_dir(layers).unwrap().count(), 0);
}

#[test]
fn a_killed_host_leaves_nothing_there() {
    let remote = Remote::default();
    let image = busybox();
    remote.locald(["pull", &image]).succeed();
    let mark = format!("{}", 700_000 + std::process::id());
    let script = format!("echo up; exec /bin/busybox sleep {mark}");
    let mut running = remote.locald(run(&image, &script)).start();
    running.await_output("up");
    running.signal(Signal::KILL);
    running.wait();
    harness::await_that("the process is gone", || {
        harness::processes(&format!("sleep {mark}")).is_empty()
    });
}

#[test]
fn an_agent_that_was_killed_is_told_and_the_next_command_starts_another() {
    let remote = Remote::default();
    let image = busybox();
    remote.locald(["pull", &image]).succeed();
    let mark = format!("{}", 800_000 + std::process::id());
    let script = format!("echo up; exec /bin/busybox sleep {mark}");
    let mut running = remote.locald(run(&image, &script)).start();
    running.await_output("up");
    let agents = remote.home().join(".cache/locald/agents");
    let agents = harness::processes(agents.to_str().unwrap());
    let pids = agents.iter().filter(|it| it.contains("locald-agent stdio"));
    for pid in pids.map(|it| it.split(':').next().unwrap().parse().unwrap()) {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        // One of them is the shell that waits for it, and may be gone.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
    let ended = running.wait();
    assert_eq!(ended.code, 121, "{agents:?} {}", ended.stderr);
    harness::await_that("the process is gone", || {
        harness::processes(&format!("sleep {mark}")).is_empty()
    });
    remote.locald(["image", "ls"]).succeed();
}

#[test]
fn an_agent_that_was_cut_off_is_brought_again() {
    let remote = Remote::default();
    remote.locald(["image", "ls"]).succeed();
    let agents = remote.home().join(".cache/locald/agents");
    let build = fs_err::read_dir(&agents).unwrap().next().unwrap().unwrap();
    fs_err::remove_file(build.path().join("locald-agent")).unwrap();
    let again = remote.locald(["image", "ls"]).succeed();
    assert!(
        again.stderr.contains("Copying the agent"),
        "{}",
        again.stderr
    );
}

#[test]
fn a_host_that_is_not_there_is_told() {
    let remote = Remote::default();
    let nowhere = [
        "vm",
        "status",
        "--machine",
        "ssh://nowhere.invalid",
        "--json",
    ];
    let start = Instant::now();
    let status = remote.locald(nowhere).succeed();
    assert!(start.elapsed() < Duration::from_secs(15));
    let status = &status.json()[0];
    assert_eq!(status["state"], "unreachable");
    assert!(
        status["error"]["message"]
            .as_str()
            .unwrap()
            .contains("nowhere.invalid")
    );
    let build = ["image", "ls", "--machine", "ssh://nowhere.invalid"];
    remote.locald(build).fail(121, "nowhere.invalid");
    let empty = tempfile::tempdir().unwrap();
    let none = remote
        .locald(["image", "ls"])
        .env("LOCALD_AGENTS", empty.path().to_str().unwrap());
    none.fail(121, "beside locald");
}
