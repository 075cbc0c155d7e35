//! `locald.exe vm`.

use std::net::TcpListener;

use super::Windows;

#[test]
fn a_machine_is_made_looked_at_stopped_and_removed() {
    let windows = Windows::start();
    let status = || {
        let output = windows.locald(["vm", "status", "--json"]).succeed();
        output.json()[0]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(status(), "absent");
    windows.locald(["vm", "stop"]).succeed();
    windows.locald(["vm", "start"]).succeed();
    assert_eq!(windows.wsl(&["--list", "--quiet"]), "locald\n");
    assert_eq!(status(), "running");
    windows
        .locald(["vm", "resize", "--disk", "100GiB"])
        .succeed();
    assert_eq!(status(), "stopped");
    windows
        .locald(["vm", "resize", "--memory", "4GiB"])
        .fail(111, ".wslconfig");
    windows.locald(["vm", "restart"]).succeed();
    windows.locald(["vm", "stop", "--now"]).succeed();
    assert_eq!(status(), "stopped");
    windows.locald(["vm", "reset"]).fail(
        111,
        "standard input is not a terminal, so locald cannot ask",
    );
    windows.locald(["vm", "reset", "--yes"]).succeed();
    windows.locald(["vm", "reset", "--yes"]).succeed();
    assert_eq!(windows.wsl(&["--list", "--quiet"]), "");
    assert_eq!(status(), "absent");
    assert!(!windows.home().join("machines/wsl2/disk").exists());
}

#[test]
fn an_old_wsl_is_understood_too() {
    let windows = Windows::start();
    let old = |arguments: &[&str]| {
        let locald = windows.locald(arguments.iter().copied());
        locald.env("WSL_STAND_IN_OLD", "1")
    };
    old(&["vm", "start"]).succeed();
    let output = old(&["vm", "status", "--json"]).succeed();
    assert_eq!(output.json()[0]["state"], "running");
    old(&["vm", "stop"]).succeed();
}

#[test]
fn stop_waits_for_who_uses_the_machine() {
    let windows = Windows::start();
    windows.locald(["vm", "start"]).succeed();
    // A registry that never answers.
    let registry = TcpListener::bind("127.0.0.1:0").unwrap();
    let image = format!("{}/image", registry.local_addr().unwrap());
    let user = windows.locald(["pull", &image]).start();
    registry.accept().unwrap();
    let mut stop = windows.locald(["vm", "stop"]).start();
    stop.await_output("Waiting for other commands");
    let running = || windows.wsl(&["--list", "--quiet", "--running"]);
    assert_eq!(running(), "locald\n");
    drop(user);
    assert_eq!(stop.wait().code, 0);
    assert_eq!(running(), "");
}
