//! What breaks is told exactly, and mended by the next command.

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use harness::{Locald, Vm, await_that, builder, busybox, in_busybox as run, processes};
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
    inside(&vm, "date -s '2020-01-01 00:00:00'").succeed();
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
    assert!(works(&vm).contains("it goes on"));
    assert!(offset(&vm).abs() < 500);
    let output = running.wait();
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stdout.contains("done"), "{}", output.stdout);
    // Whichever way it is wrong.
    inside(&vm, "date -s '2037-01-01 00:00:00'").succeed();
    works(&vm);
    assert!(offset(&vm).abs() < 500);
}

/// A command line of the machine itself.
fn inside(vm: &Vm, script: &str) -> Locald {
    vm.locald(["vm", "ssh", "--", "sh", "-c", script])
}

#[test]
fn a_program_without_measure_leaves_the_agent_its_memory() {
    let vm = Vm::new("memory = \"1GiB\"\ncpus = 2\ndisk = \"8GiB\"\n");
    let image = busybox();
    vm.locald(["pull", &image]).succeed();
    let uptime = || vm.status().1["uptime-milliseconds"].as_u64().unwrap();
    let before = uptime();
    let glutton = run(
        &image,
        "/bin/busybox dd if=/dev/zero of=/dev/null bs=900M count=1; echo $?",
    );
    let output = vm.locald(glutton).succeed();
    assert_eq!(output.stdout, "137\n", "{}", output.stderr);
    assert!(uptime() > before, "the agent is another one");
    // It was not the machine that had no memory left.
    let events = "cat /proc/1/root/sys/fs/cgroup/agent/memory.events";
    let events = inside(&vm, events).succeed().stdout;
    let reached = events.lines().find_map(|it| it.strip_prefix("oom "));
    assert!(reached.is_some_and(|it| it != "0"), "{events}");
}

/// As by `systemd-run --user --scope -p Delegate=yes`, which needs a unified
/// hierarchy of cgroups: the guest has one.
#[test]
fn an_agent_limits_the_memory_of_a_cgroup_that_is_delegated_to_it_alone() {
    let vm = Vm::default();
    inside(&vm, "echo user:x:1000:1000::/tmp:/bin/sh >>/etc/passwd").succeed();
    let limit = |name: &str, before: &str| {
        let agent = "exec env LOCALD_HOME=/tmp/$1 /init stdio </dev/null >/dev/null 2>&1";
        let script = format!(
            "cd /sys/fs/cgroup && mkdir $1 && chown -R 1000 $1 && \
             (echo 0 >$1/cgroup.procs && {before} su -s /bin/sh -c \"{agent}\" user; :); \
             cat $1/locald/memory.max || echo none"
        );
        let script = format!("nsenter -t 1 -m sh -c '{script}' - {name}");
        inside(&vm, &script).succeed().stdout
    };
    let bytes: u64 = limit("alone", "exec").trim().parse().unwrap();
    let total = vm.status().1["memory-total"].as_u64().unwrap();
    assert_eq!(bytes / 4096, total / 2 / 4096);
    // Somebody else's limits are nobody's business.
    assert_eq!(limit("shared", ""), "none\n");
}

#[test]
fn an_agent_without_memory_is_told_and_loses_nothing() {
    let vm = Vm::default();
    let (image, builder) = (busybox(), builder());
    vm.locald(["pull", &image]).succeed();
    let limit = |bytes: &str| {
        let file = "/sys/fs/cgroup/agent/memory.max";
        let script = format!("nsenter -t 1 -m sh -c 'echo {bytes} >{file}'");
        inside(&vm, &script)
    };
    // What of it cannot be had back is what it has now.
    limit("12M").run();
    vm.locald(["pull", &builder]).fail(121, "lack of memory");
    let logs = vm.locald(["vm", "logs"]).succeed();
    assert!(
        logs.stdout.contains("for want of memory"),
        "{}",
        logs.stdout
    );
    limit("max").succeed();
    let verified = vm.locald(["store", "verify"]).succeed();
    assert!(verified.stdout.contains("sound"), "{}", verified.stdout);
    vm.locald(["pull", &builder]).succeed();
    let said = vm.locald(run(&image, "echo whole")).succeed();
    assert_eq!(said.stdout, "whole\n");
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
    inside(&vm, kill).fail(121, "agent");
    let ended = running.wait();
    assert_eq!(ended.code, 121, "{}", ended.stderr);
    let listed = vm.locald(["image", "ls"]).succeed();
    assert!(listed.stdout.contains("busybox"), "{}", listed.stdout);
    assert!(!listed.stderr.contains("Starting"), "{}", listed.stderr);
    assert_eq!(vm.process("qemu"), qemu);
    // What belonged to the agent has gone with it.
    let left = inside(&vm, "ps | grep -c 'sleep 70[0]'").run();
    assert_eq!(left.stdout, "0\n", "{}", left.stderr);
    let logs = vm.locald(["vm", "logs"]).succeed();
    assert!(logs.stdout.contains("started again"), "{}", logs.stdout);
}

#[test]
fn a_kernel_that_panics_ends_the_machine_and_the_next_command_starts_it() {
    let vm = Vm::default();
    works(&vm);
    // Signals of processes in it cannot end a machine's first process.
    let alive = inside(&vm, "kill -9 1; echo alive").succeed();
    assert_eq!(alive.stdout, "alive\n");
    inside(&vm, "echo c > /proc/sysrq-trigger").fail(121, "");
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
    vm.locald(["image", "ls"]).fail(121, "somebody else's");
    assert_eq!(vm.status().0, "hung");
    answering.join().unwrap();
    vm.locald(["vm", "restart", "--force"]).succeed();
    works(&vm);
}
