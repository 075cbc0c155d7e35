//! The life of a virtual machine.

use std::net::TcpListener;

use harness::{App, Vm, builder, free_port, page};
use rustix::process::Signal;

use harness::{busybox, in_busybox as run};

#[test]
fn a_machine_starts_works_stops_and_goes() {
    let vm = Vm::default();
    assert_eq!(vm.status().0, "absent");
    let started = vm.locald(["vm", "start", "--json"]).succeed();
    let steps = started.json();
    let steps: Vec<_> = steps.iter().filter_map(|it| it["step"].as_str()).collect();
    assert_eq!(steps, ["disk", "kernel", "agent"]);
    let (state, status) = vm.status();
    assert_eq!(state, "running");
    assert_eq!(status["memory"], 512 << 20);
    assert!(status["disk-total"].as_u64().unwrap() > 7_000_000_000);
    assert!(status["clock-offset-milliseconds"].as_i64().unwrap().abs() < 500);
    assert!(status["error"].is_null(), "{status}");
    let again = vm.locald(["vm", "start"]).succeed();
    assert!(!again.stderr.contains("Starting"), "{}", again.stderr);

    let image = busybox();
    vm.locald(["pull", &image]).succeed();
    let output = vm.locald(run(&image, "echo from inside; exit 3")).run();
    assert_eq!((output.code, &*output.stdout), (3, "from inside\n"));
    let inside = ["vm", "ssh", "--", "sh", "-c", "hostname; cat; exit 4"];
    let output = vm.locald(inside).input("typed").run();
    assert_eq!((output.code, &*output.stdout), (4, "locald\ntyped"));
    vm.locald(["vm", "stop"]).succeed();
    vm.await_end();
    assert_eq!(vm.status().0, "stopped");
    let logs = vm.locald(["vm", "logs"]).succeed();
    assert!(logs.stdout.contains("switching off"), "{}", logs.stdout);

    // What was in the machine is still there; it starts by itself.
    let listed = vm.locald(["image", "ls"]).succeed();
    assert!(listed.stdout.contains("test/busybox"), "{}", listed.stdout);
    assert!(
        listed.stderr.contains("Starting the machine"),
        "{}",
        listed.stderr
    );
    let refused = vm.locald(["vm", "reset"]).fail(111, "--yes");
    assert!(refused.stderr.contains("all images"), "{}", refused.stderr);
    vm.locald(["vm", "reset", "--yes", "--keep-images"])
        .succeed();
    let listed = vm.locald(["image", "ls"]).succeed();
    assert!(listed.stdout.contains("test/busybox"), "{}", listed.stdout);
    vm.locald(["vm", "reset", "--yes"]).succeed();
    vm.await_end();
    assert_eq!(vm.status().0, "absent");
}

#[test]
fn a_project_is_built_and_its_port_is_here() {
    let vm = Vm::new("memory = \"1GiB\"\ncpus = 2\ndisk = \"8GiB\"\n");
    let app = App::web();
    vm.locald(["build", &app.text(), "-t", "web", "--builder", &builder()])
        .succeed();
    let again = vm.locald(["build", &app.text(), "-t", "web", "--builder", &builder()]);
    let again = again.succeed();
    assert!(again.stdout.contains("up to date"), "{}", again.stdout);
    let port = free_port().to_string();
    let mut running = vm
        .locald(["run", "web", "-e", &format!("PORT={port}")])
        .start();
    running.await_output(&format!("http://localhost:{port}"));
    running.await_output(&format!("Port {port} is at"));
    assert!(page(&port).contains("user 1001, in /workspace"));
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code, 143);
    let layout = app.outside().join("layout");
    let target = format!("oci:{}", layout.display());
    vm.locald(["image", "export", "web", &target]).succeed();
    assert!(layout.join("index.json").exists());
}

#[test]
fn a_port_that_is_taken_here_gets_another_and_a_stop_waits() {
    let vm = Vm::default();
    let image = busybox();
    vm.locald(["pull", &image]).succeed();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let script = format!(
        "echo hello > /tmp/index.html; /bin/busybox httpd -p 127.0.0.1:{port} -h /tmp; \
         trap 'exit 7' TERM; echo up; while true; do /bin/busybox sleep 1; done"
    );
    let mut running = vm.locald(run(&image, &script)).start();
    let said = running.await_line("is taken here");
    let own = said.split("localhost:").nth(1).unwrap();
    let own: String = own.chars().take_while(char::is_ascii_digit).collect();
    assert!(page(&own).contains("hello"));
    assert_eq!(vm.status().1["running"][0], format!("a process of {image}"));

    let mut stop = vm.locald(["vm", "stop"]).start();
    stop.await_output("Waiting for a process of");
    // Nothing begins while the machine waits for its end.
    vm.locald(run(&image, "true")).fail(121, "about to stop");
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code, 7);
    assert_eq!(stop.wait().code, 0);
    vm.await_end();

    let mut running = vm
        .locald(run(&image, "echo up; exec /bin/busybox sleep 600"))
        .start();
    running.await_output("up");
    let stop = vm.locald(["vm", "stop", "--now"]).succeed();
    assert!(
        stop.stderr.contains("Interrupting a process"),
        "{}",
        stop.stderr
    );
    assert_ne!(running.wait().code, 0);
    vm.await_end();
}

#[test]
fn a_machine_gets_another_size() {
    let vm = Vm::new("memory = \"512MiB\"\ncpus = 1\ndisk = \"2GiB\"\n");
    vm.locald(["vm", "start"]).succeed();
    let before = vm.status().1["disk-total"].as_u64().unwrap();
    vm.locald([
        "vm", "resize", "--cpus", "2", "--disk", "4GiB", "--memory", "640MiB",
    ])
    .succeed();
    vm.locald(["vm", "start"]).succeed();
    let (_, status) = vm.status();
    assert_eq!(status["processors"], 2);
    assert!(
        status["memory-total"].as_u64().unwrap() > 560_000_000,
        "{status}"
    );
    assert!(
        status["disk-total"].as_u64().unwrap() > before + 1_500_000_000,
        "{status}"
    );
    vm.locald(["vm", "resize", "--disk", "1GiB"])
        .fail(111, "smaller");
}
