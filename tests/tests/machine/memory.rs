//! Memory runs out for containers before it does for the agent, and for both
//! before it does for the machine.

use harness::{Vm, builder, busybox, in_busybox as run};

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
    let events = "cat /proc/1/root/sys/fs/cgroup/locald/memory.events";
    let events = vm.inside(events).succeed().stdout;
    let reached = events.lines().find_map(|it| it.strip_prefix("oom "));
    assert!(reached.is_some_and(|it| it != "0"), "{events}");
}

/// As by `systemd-run --user --scope -p Delegate=yes`, which needs a unified
/// hierarchy of cgroups: the guest has one.
#[test]
fn an_agent_limits_the_memory_of_a_cgroup_that_is_delegated_to_it_alone() {
    let vm = Vm::default();
    vm.inside("echo user:x:1000:1000::/tmp:/bin/sh >>/etc/passwd")
        .succeed();
    let limit = |name: &str, before: &str| {
        let agent = "exec env LOCALD_HOME=/tmp/$1 /init stdio </dev/null >/dev/null 2>&1";
        let script = format!(
            "cd /sys/fs/cgroup && mkdir $1 && chown -R 1000 $1 && \
             (echo 0 >$1/cgroup.procs && {before} su -s /bin/sh -c \"{agent}\" user; :); \
             cat $1/locald/memory.max || echo none"
        );
        let script = format!("nsenter -t 1 -m sh -c '{script}' - {name}");
        vm.inside(&script).succeed().stdout
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
        let file = "/sys/fs/cgroup/locald/memory.max";
        let script = format!("nsenter -t 1 -m sh -c 'echo {bytes} >{file}'");
        vm.inside(&script)
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
