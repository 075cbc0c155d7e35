//! Power cuts: QEMU is killed, and with it all that the guest had not written
//! to its disk.

use harness::{App, Vm, await_that, builder, busybox, in_busybox};
use rustix::process::Signal;

fn cut(vm: &Vm) {
    vm.signal("qemu", Signal::KILL);
    vm.await_end();
}

/// The image that was there before is sound, and runs.
fn assert_kept(vm: &Vm) {
    let verified = vm.locald(["store", "verify"]).succeed();
    assert!(verified.stdout.contains("sound"), "{}", verified.stdout);
    let run = ["run", "--command", "kept", "--", "cat", "/workspace/said"];
    let run = vm.locald(run).succeed();
    assert_eq!(run.stdout, "I was there before");
}

#[test]
fn a_power_cut_at_any_moment_keeps_what_was_there() {
    let vm = Vm::new("memory = \"1GiB\"\ncpus = 2\ndisk = \"8GiB\"\n");
    let builder = builder();
    let app = App::probe("cat said; [ ! -e waits ] || { echo in the build; sleep 600; }");
    app.write("said", "I was there before");
    let folder = app.text();
    let build = |name| vm.locald(["build", &folder, "-t", name, "--builder", &builder]);

    // Right after the answer: what locald says is done stays done.
    build("kept").succeed();
    cut(&vm);
    assert_kept(&vm);

    // In the middle of a build of the same name.
    app.write("waits", "");
    app.write("another", "file of the source");
    let mut building = build("kept").start();
    building.await_output("in the build");
    cut(&vm);
    assert_ne!(building.wait().code, 0);
    assert_kept(&vm);
    // What came of the source before the cut is not trusted after it.
    fs_err::remove_file(app.path().join("waits")).unwrap();
    build("again").succeed();
    let run = [
        "run",
        "--command",
        "again",
        "--",
        "cat",
        "/workspace/another",
    ];
    assert_eq!(vm.locald(run).succeed().stdout, "file of the source");

    // In the middle of an export, of which nothing is to be seen then.
    let target = app.outside().join("exported.tar");
    let archive = format!("oci-archive:{}", target.display());
    let exporting = vm.locald(["image", "export", "kept", &archive]).start();
    await_that("something has arrived", || {
        let entries = fs_err::read_dir(app.outside()).unwrap().flatten();
        let mut sizes = entries.filter_map(|entry| {
            let partial = entry.file_name().to_string_lossy().starts_with(".locald-");
            partial.then(|| entry.metadata().map_or(0, |it| it.len()))
        });
        sizes.any(|size| size > 0)
    });
    cut(&vm);
    assert_ne!(exporting.wait().code, 0);
    assert!(!target.exists());
    assert_kept(&vm);

    // Right after a pull. The other name makes the file system write down which
    // files there are, so that a layer whose files are not on the disk would be
    // there, with empty ones.
    let image = busybox();
    vm.locald(["pull", &image]).succeed();
    vm.locald(["image", "tag", &image, "other"]).succeed();
    cut(&vm);
    vm.locald(["store", "verify"]).succeed();
    let said = vm.locald(in_busybox(&image, "echo whole")).succeed();
    assert_eq!(said.stdout, "whole\n");
}
