//! The live folder of a shell in a machine.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use harness::{App, Locald, Remote, Vm, await_that, builder, free_port};
use rustix::process::Signal;

/// What is the same in every machine.
pub(crate) fn is_live(machine: &dyn Fn(&[&str]) -> Locald) {
    let app = App::web();
    app.write("notes", "old\n");
    app.write("gone", "");
    app.write(".gitignore", "cache/\n");
    let folder = app.text();
    machine(&["build", &folder, "-t", "web", "--builder", &builder()]).succeed();
    let shell = |script: &str| machine(&["shell", &folder, "--", "sh", "-c", script]);
    let text = |path: &str| fs_err::read_to_string(app.path().join(path)).unwrap_or_default();
    let port = free_port();
    let script = format!(
        "id -u; cat notes; echo made > made; chmod 700 made; rm gone; mkdir cache; echo c > cache/c; \
         echo up; until grep -q new notes; do sleep 0.1; done; echo seen > seen; \
         python3 -m http.server {port}"
    );
    let mut running = shell(&script).start();
    running.await_output("up");
    await_that("the file made inside is here", || text("made") == "made\n");
    let made = || fs_err::metadata(app.path().join("made")).unwrap();
    await_that("it has its mode", || {
        made().permissions().mode() & 0o777 == 0o700
    });
    assert_eq!(made().uid(), rustix::process::geteuid().as_raw());
    await_that("what was removed inside is gone", || {
        !app.path().join("gone").exists()
    });
    app.write("notes", "new\n");
    await_that("the edit is seen", || text("seen") == "seen\n");
    running.await_output(&format!("Port {port} is at"));
    assert!(harness::page(&port.to_string()).contains("made"));
    // The host is killed in the middle of it.
    running.signal(Signal::KILL);
    running.wait();
    app.write("notes", "mine\n");
    let output = shell("cat notes cache/c; echo last > last; exit 5").run();
    assert_eq!(
        (output.code, &*output.stdout),
        (5, "mine\nc\n"),
        "{}",
        output.stderr
    );
    assert_eq!(text("last"), "last\n");
    assert!(!app.path().join("cache").exists());
}

#[test]
fn a_folder_is_live_in_a_virtual_machine() {
    let vm = Vm::new("memory = \"1GiB\"\ncpus = 2\ndisk = \"8GiB\"\n");
    is_live(&|arguments| vm.locald(arguments));
}

#[test]
fn a_folder_is_live_on_a_remote_host() {
    let remote = Remote::default();
    is_live(&|arguments| remote.locald(arguments));
}

#[test]
fn what_a_shell_made_before_the_machine_was_killed_is_not_lost() {
    let vm = Vm::new("memory = \"1GiB\"\ncpus = 2\ndisk = \"8GiB\"\n");
    let app = App::web();
    app.write("notes", "old\n");
    let folder = app.text();
    vm.locald(["build", &folder, "-t", "web", "--builder", &builder()])
        .succeed();
    let shell = |script: &str| vm.locald(["shell", &folder, "--", "sh", "-c", script]);
    let text = |path: &str| fs_err::read_to_string(app.path().join(path)).unwrap_or_default();
    let mut running = shell("echo up; cat > /dev/null; exec sleep 600").start();
    running.await_output("up");
    // The host sees nothing of what is made from now on.
    running.signal(Signal::STOP);
    let copies = "cd /var/lib/locald/store/projects/*/folder/tree && \
                  echo theirs > notes && echo unseen > unseen && sync";
    vm.locald(["vm", "ssh", "--", "sh", "-c", copies]).succeed();
    vm.signal("qemu", Signal::KILL);
    running.signal(Signal::KILL);
    running.wait();
    app.write("notes", "mine\n");
    let output = shell("cat notes notes.conflict-machine-1 unseen").succeed();
    assert_eq!(output.stdout, "mine\ntheirs\nunseen\n");
    assert!(
        output.stderr.contains("changed on both sides"),
        "{}",
        output.stderr
    );
    assert_eq!(text("notes"), "mine\n");
    assert_eq!(text("notes.conflict-machine-1"), "theirs\n");
    assert_eq!(text("unseen"), "unseen\n");
}
