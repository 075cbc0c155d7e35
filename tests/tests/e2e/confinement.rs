//! What a buildpack can do from inside a phase.

use harness::{App, builder, locald, unique};

/// Runs a script in the build phase, and returns what it said.
fn inside(script: &str, options: &[&str]) -> String {
    let (app, name) = (App::probe(script), unique("inside"));
    let text = app.text();
    let builder = builder();
    let base = ["build", &text, "-t", &name, "--builder", &builder, "-v"];
    let output = locald([&base[..], options].concat()).succeed();
    output.all()
}

#[test]
fn a_phase_has_no_privileges() {
    let said = inside(
        "id; grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/self/status",
        &[],
    );
    assert!(said.contains("uid=1001(cnb) gid=1000(cnb)"), "{said}");
    for line in [
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
    ] {
        assert!(said.contains(line), "{line:?} is not in {said}");
    }
}

#[test]
fn a_phase_cannot_mount_make_namespaces_or_see_others() {
    let script = "mount -t tmpfs x /mnt || echo no-mount
        unshare -r true || echo no-namespace
        ls /proc | grep -c '^[0-9]' | sed 's/^/processes: /'
        ls -A / | tr '\\n' ' '; touch /cnb/x || echo no-write
        cat /proc/1/environ || echo no-init";
    let said = inside(script, &[]);
    for denied in ["no-mount", "no-namespace", "no-init"] {
        assert!(said.contains(denied), "{denied} is not in {said}");
    }
    let count = said
        .split("processes: ")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    let count: u32 = count.unwrap().trim().parse().unwrap();
    assert!(count < 12, "{count} processes are seen");
}

#[test]
fn the_network_can_be_taken_away() {
    let script =
        "python3 -c 'import os; print(\"devices:\", sorted(os.listdir(\"/sys/class/net\")))'";
    let said = inside(script, &["--network", "none"]);
    assert!(said.contains("devices: ['lo']"), "{said}");
}
