//! Guests that are none, and a disk that is full.

use std::path::{Path, PathBuf};

use harness::{FileServer, Reader, Vm, builder, setting, sha256};

fn guest() -> PathBuf {
    setting("LOCALD_TEST_GUEST").into()
}

/// A copy of the guest in a folder of its own.
fn copy() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    for name in ["vmlinuz", "initramfs", "guest.json"] {
        fs_err::copy(guest().join(name), path.join(name)).unwrap();
    }
    (folder, path)
}

/// A guest whose agent has another build id: the last of several archives in
/// an initramfs counts.
pub(crate) fn other_agent(old: &str) -> (tempfile::TempDir, PathBuf, String) {
    let (folder, path) = copy();
    let digits = old.rsplit_once('+').unwrap().1;
    let id: Vec<u8> = (0..digits.len() / 2)
        .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let agent = Path::new(&setting("LOCALD_TEST_AGENTS")).join("locald-agent");
    let mut bytes = fs_err::read(agent).unwrap();
    let at = bytes
        .windows(id.len())
        .position(|window| window == id)
        .unwrap();
    bytes[at..at + id.len()].fill(0xab);
    fs_err::write(path.join("init"), bytes).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs_err::set_permissions(path.join("init"), executable).unwrap();
    let archive = path.join("more.cpio");
    let script = format!(
        "cd '{}' && echo init | cpio --quiet -o -H newc > '{}'",
        path.display(),
        archive.display()
    );
    Reader("sh").run(&["-c", &script]);
    let mut initramfs = fs_err::read(path.join("initramfs")).unwrap();
    initramfs.resize(initramfs.len().next_multiple_of(4), 0);
    initramfs.extend(fs_err::read(archive).unwrap());
    fs_err::write(path.join("initramfs"), initramfs).unwrap();
    let build = old.replace(digits, &"ab".repeat(id.len()));
    describe(&path, &build, std::env::consts::ARCH);
    (folder, path, build)
}

fn describe(guest: &Path, agent: &str, architecture: &str) {
    let text = format!("{{\"agent\": \"{agent}\", \"architecture\": \"{architecture}\"}}");
    fs_err::write(guest.join("guest.json"), text).unwrap();
}

/// A machine whose guest is downloaded.
fn vm_from(url: &str, digest: &str) -> Vm {
    let size = "memory = \"512MiB\"\ndisk = \"8GiB\"";
    let guest = format!("guest = \"{url}\"\nguest-digest = \"{digest}\"");
    let mut vm = Vm::new(&format!("{size}\n{guest}\n"));
    vm.use_guest(Path::new(""));
    vm
}

#[test]
fn a_guest_is_downloaded_once_and_only_the_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let archive = |name: &str, files: &[&str]| {
        let path = folder.path().join(name);
        let guest = guest();
        let start = [
            "-czf",
            path.to_str().unwrap(),
            "-C",
            guest.to_str().unwrap(),
        ];
        Reader("tar").run(&[&start, files].concat());
        format!("sha256:{}", sha256(&path))
    };
    let digest = archive("guest.tar.gz", &["."]);
    let lacking = archive("lacking.tar.gz", &["vmlinuz", "guest.json"]);
    let (text, wrong) = (folder.path().join("text"), format!("sha256:{:064}", 0));
    fs_err::write(&text, "no archive").unwrap();
    let no_archive = format!("sha256:{}", sha256(&text));

    let server = FileServer::start(vec![folder.path().to_owned()]);
    let url = |name: &str| format!("{}/{name}", server.url());
    let refused = |name: &str, digest: &str, words: &str| {
        let vm = vm_from(&url(name), digest);
        vm.locald(["vm", "start"]).fail(121, words);
        let kept = vm.folder().join("qemu/guests");
        let kept = fs_err::read_dir(kept).map_or(0, Iterator::count);
        assert_eq!(kept, 0, "{name}");
    };
    refused("guest.tar.gz", "sha256:12", "not a SHA-256 digest");
    refused("guest.tar.gz", &wrong, &format!("is {digest}, not {wrong}"));
    refused("nothing.tar.gz", &digest, "404");
    refused("lacking.tar.gz", &lacking, "has no initramfs");
    refused("text", &no_archive, "is not a .tar.gz of a guest");

    let vm = vm_from(&url("guest.tar.gz"), &digest);
    let start = vm.locald(["vm", "start"]).succeed();
    assert!(start.stderr.contains("Downloading"), "{}", start.stderr);
    assert_eq!(vm.status().0, "running");
    vm.locald(["vm", "stop"]).succeed();
    fs_err::remove_file(folder.path().join("guest.tar.gz")).unwrap();
    let again = vm.locald(["vm", "start"]).succeed();
    assert!(!again.stderr.contains("Downloading"), "{}", again.stderr);
}

#[test]
fn a_guest_that_is_none_is_told() {
    let mut vm = Vm::default();
    let empty = tempfile::tempdir().unwrap();
    vm.use_guest(empty.path());
    vm.locald(["vm", "start"]).fail(121, "vm-images/guest");
    let (_folder, guest) = copy();
    vm.use_guest(&guest);
    describe(&guest, "locald/0", "sparc");
    vm.locald(["vm", "start"]).fail(121, "is for sparc");
    // The kernel panics without an init, and QEMU ends.
    fs_err::write(guest.join("initramfs"), "no archive").unwrap();
    describe(&guest, "locald/0", std::env::consts::ARCH);
    let output = vm
        .locald(["vm", "start"])
        .fail(121, "ended while it started");
    assert!(output.stderr.contains("panic"), "{}", output.stderr);
    fs_err::write(guest.join("vmlinuz"), "no kernel").unwrap();
    vm.locald(["vm", "start"]).fail(121, "qemu");
}

#[test]
fn missing_programs_are_told_with_their_package() {
    let vm = Vm::default();
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().to_str().unwrap();
    vm.locald(["vm", "start"])
        .env("PATH", path)
        .fail(121, "apt install qemu-system");
    let doctor = vm.locald(["vm", "doctor"]).env("PATH", path).run();
    assert_eq!(doctor.code, 121);
    assert!(
        doctor.stdout.contains("vhost-device-vsock"),
        "{}",
        doctor.stdout
    );
}

#[test]
fn a_full_disk_is_told() {
    let vm = Vm::new("memory = \"512MiB\"\ncpus = 2\ndisk = \"256MiB\"\n");
    vm.locald(["pull", &builder()]).fail(120, "");
    // The machine is well, and has room again for what fits.
    let doctor = vm.locald(["vm", "doctor"]).run();
    assert!(
        doctor.stdout.contains("containers of a build"),
        "{}",
        doctor.stdout
    );
    vm.locald(["pull", &harness::busybox()]).succeed();
}

#[test]
fn a_machine_that_is_none_is_told() {
    let vm = Vm::default();
    vm.locald(["image", "ls", "--machine", "vmware"])
        .fail(2, "qemu");
    vm.locald(["image", "ls"])
        .env("LOCALD_MACHINE", "tcp:1")
        .fail(111, "tcp:1");
    let table = "[machine]\nkind = \"qemu\"\nmemory = \"lots\"\n";
    let home = tempfile::tempdir().unwrap();
    fs_err::write(home.path().join("config.toml"), table).unwrap();
    vm.locald(["vm", "status"])
        .home(home.path())
        .fail(111, "4GiB");
}
