//! What breaks is told exactly, and mended by the next command.

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use harness::{Vm, await_that, busybox, in_busybox as run, processes};
use rustix::process::Signal;

/// A command that works only with a machine that does.
fn works(vm: &Vm) -> String {
    let output = vm.locald(["image", "ls"]).succeed();
    assert_eq!(vm.status().0, "running");
    output.stderr
}

#[test]
fn a_machine_that_was_killed_starts_again() {
    let vm = Vm::default();
    works(&vm);
    for process in ["qemu", "vsock", "supervisor"] {
        vm.signal(process, Signal::KILL);
        vm.await_end();
        let (state, status) = vm.status();
        assert_eq!(state, "crashed", "{process}");
        assert!(status["error"]["message"].is_string(), "{status}");
        assert!(works(&vm).contains("Starting the machine"));
    }
}

#[test]
fn a_suspended_machine_goes_on_with_the_right_time() {
    let vm = Vm::default();
    let image = busybox();
    vm.locald(["pull", &image]).succeed();
    // As after the sleep of a system whose clock stands still meanwhile.
    vm.inside("date -s '2020-01-01 00:00:00'").succeed();
    assert!(offset(&vm) < -31_000_000_000);
    let mut running = vm
        .locald(run(&image, "echo up; /bin/busybox sleep 2; echo done"))
        .start();
    running.await_output("up");
    vm.signal("qemu", Signal::STOP);
    let start = Instant::now();
    assert_eq!(vm.status().0, "suspended");
    assert!(start.elapsed() < Duration::from_secs(3));
    vm.locald(["vm", "stop"]).fail(121, "--force");
    if std::env::var_os("LOCALD_TEST_ALL").is_some() {
        std::thread::sleep(Duration::from_mins(1));
    }
    assert!(works(&vm).contains("locald resumes it"));
    assert!(offset(&vm).abs() < 500);
    let output = running.wait();
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stdout.contains("done"), "{}", output.stdout);
    // Whichever way it is wrong.
    vm.inside("date -s '2037-01-01 00:00:00'").succeed();
    works(&vm);
    assert!(offset(&vm).abs() < 500);
}

/// Milliseconds by which the machine's clock is ahead.
fn offset(vm: &Vm) -> i64 {
    let status = vm.status().1;
    status["clock-offset-milliseconds"].as_i64().unwrap()
}

#[test]
fn an_agent_that_was_killed_is_started_again_inside() {
    let vm = Vm::default();
    let image = busybox();
    vm.locald(["pull", &image]).succeed();
    let qemu = vm.process("qemu");
    let mut running = vm
        .locald(run(&image, "echo up; exec /bin/busybox sleep 700"))
        .start();
    running.await_output("up");
    // The agent is a child of the machine's first process, which only looks
    // after it. The console belongs to the agent, and ends with it.
    let kill = "for it in /proc/[0-9]*; do \
                grep -q own-machin[e] $it/cmdline && kill -9 ${it#/proc/}; done";
    vm.inside(kill).fail(121, "agent");
    let ended = running.wait();
    assert_eq!(ended.code, 121, "{}", ended.stderr);
    let listed = vm.locald(["image", "ls"]).succeed();
    assert!(listed.stdout.contains("busybox"), "{}", listed.stdout);
    assert!(!listed.stderr.contains("Starting"), "{}", listed.stderr);
    assert_eq!(vm.process("qemu"), qemu);
    // What belonged to the agent has gone with it.
    let left = vm.inside("ps | grep -c 'sleep 70[0]'").run();
    assert_eq!(left.stdout, "0\n", "{}", left.stderr);
    let logs = vm.locald(["vm", "logs"]).succeed();
    assert!(logs.stdout.contains("started again"), "{}", logs.stdout);
}

#[test]
fn a_kernel_that_panics_ends_the_machine_and_the_next_command_starts_it() {
    let vm = Vm::default();
    works(&vm);
    // Signals of processes in it cannot end a machine's first process.
    let alive = vm.inside("kill -9 1; echo alive").succeed();
    assert_eq!(alive.stdout, "alive\n");
    vm.inside("echo c > /proc/sysrq-trigger").fail(121, "");
    vm.await_end();
    assert_eq!(vm.status().0, "crashed");
    assert!(works(&vm).contains("Starting the machine"));
}

#[test]
fn an_idle_machine_stops_and_starts_by_itself() {
    let vm = Vm::new("memory = \"512MiB\"\ncpus = 2\ndisk = \"8GiB\"\nidle-minutes = 0.05\n");
    let image = busybox();
    vm.locald(["pull", &image]).succeed();
    vm.await_end();
    assert_eq!(vm.status().0, "stopped");
    let listed = vm.locald(["image", "ls"]).succeed();
    assert!(
        listed.stderr.contains("Starting the machine"),
        "{}",
        listed.stderr
    );
    assert!(listed.stdout.contains("busybox"), "{}", listed.stdout);
    // It does not stop while something runs, however long that is silent.
    let mut running = vm
        .locald(run(&image, "echo up; /bin/busybox sleep 8; echo done"))
        .start();
    running.await_output("up");
    let output = running.wait();
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stdout.contains("done"), "{}", output.stdout);
    vm.await_end();
}

#[test]
fn a_machine_that_does_not_answer_is_told_and_can_be_ended() {
    let vm = Vm::default();
    works(&vm);
    vm.signal("vsock", Signal::STOP);
    let start = Instant::now();
    let (state, status) = vm.status();
    assert_eq!(state, "hung", "{status}");
    assert!(start.elapsed() < Duration::from_secs(4));
    vm.locald(["image", "ls"]).fail(121, "vm restart --force");
    vm.locald(["vm", "stop", "--force"]).succeed();
    vm.await_end();
    assert_eq!(vm.status().0, "stopped");
    works(&vm);
}

#[test]
fn a_machine_whose_folder_is_removed_ends() {
    let vm = Vm::default();
    works(&vm);
    let mark = vm.run().to_str().unwrap().to_owned();
    fs_err::remove_dir_all(vm.folder()).unwrap();
    await_that("its supervisor has ended", || processes(&mark).is_empty());
    vm.await_end();
    assert_eq!(vm.status().0, "absent");
    works(&vm);
}

#[test]
fn what_a_crash_left_is_in_nobodys_way() {
    let vm = Vm::default();
    fs_err::create_dir_all(vm.run()).unwrap();
    drop(UnixListener::bind(vm.run().join("vm.vsock")).unwrap());
    drop(UnixListener::bind(vm.run().join("vhost.sock")).unwrap());
    for (name, text) in [
        ("processes.json", "{\"supervisor\": 1, \"qemu\": 1}"),
        ("alive.lock", "4711"),
        ("end.json", "no json"),
        ("serial.log", "locald: the agent listens\n"),
    ] {
        fs_err::write(vm.run().join(name), text).unwrap();
    }
    works(&vm);
}

#[test]
fn two_hosts_start_one_machine() {
    let vm = Vm::default();
    let hosts: Vec<_> = (0..4).map(|_| vm.locald(["image", "ls"]).start()).collect();
    for host in hosts {
        let output = host.wait();
        assert_eq!(output.code, 0, "{}", output.stderr);
    }
    let mark = format!("__locald-qemu {}", vm.run().display());
    assert_eq!(processes(&mark).len(), 1);
}

#[test]
fn a_machine_with_another_agent_is_started_again() {
    let mut vm = Vm::default();
    works(&vm);
    let old = vm.status().1["agent"].as_str().unwrap().to_owned();
    let (_folder, guest, build) = super::wrong::other_agent(&old);
    vm.use_guest(&guest);
    assert!(works(&vm).contains("another locald"));
    assert_eq!(vm.status().1["agent"], build);
}

#[test]
fn somebody_elses_socket_is_told() {
    let vm = Vm::default();
    works(&vm);
    let socket = vm.run().join("vm.vsock");
    fs_err::rename(&socket, vm.run().join("moved")).unwrap();
    // One that never answers, and one that answers something else.
    let silent = UnixListener::bind(&socket).unwrap();
    assert_eq!(vm.status().0, "hung");
    drop(silent);
    fs_err::remove_file(&socket).unwrap();
    let other = UnixListener::bind(&socket).unwrap();
    let answering = std::thread::spawn(move || {
        for stream in other.incoming().take(2) {
            std::io::Write::write_all(&mut stream.unwrap(), b"HTTP/1.1 400 no\r\n").unwrap();
        }
    });
    vm.locald(["image", "ls"])
        .fail(121, "belongs to another program");
    assert_eq!(vm.status().0, "hung");
    answering.join().unwrap();
    vm.locald(["vm", "restart", "--force"]).succeed();
    works(&vm);
}
