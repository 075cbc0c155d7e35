//! A machine of another architecture.

use std::path::Path;

use harness::{Vm, busybox, busybox_arm64, in_busybox, setting};

#[test]
fn a_machine_for_arm64_works() {
    let mut vm = Vm::new("memory = \"1GiB\"\ncpus = 2\ndisk = \"8GiB\"\n");
    vm.use_guest(Path::new(&setting("LOCALD_TEST_ARM64_GUEST")));
    let start = vm.locald(["vm", "start"]).succeed();
    assert!(start.stderr.contains("(aarch64)"), "{}", start.stderr);
    let (state, status) = vm.status();
    assert_eq!(state, "running", "{status}");
    assert!(status["error"].is_null(), "{status}");

    let image = busybox_arm64();
    vm.locald(["pull", &image]).succeed();
    vm.locald(["store", "verify"]).succeed();
    let run = vm.locald(in_busybox(&image, "/bin/busybox uname -m; exit 3"));
    let output = run.run();
    assert_eq!((output.code, &*output.stdout), (3, "aarch64\n"));
    let other = vm.locald(["pull", &busybox()]).run();
    assert_ne!(other.code, 0);
    for architecture in ["amd64", "arm64"] {
        assert!(other.stderr.contains(architecture), "{}", other.stderr);
    }
    vm.locald(["vm", "stop"]).succeed();
    vm.await_end();
}
