//! WSL that is missing, refuses, or loses things; and agents of another build.

use harness::setting;

use super::Windows;

#[test]
fn what_wsl_refuses_comes_with_a_remedy() {
    let windows = Windows::start();
    let cases = [
        ("WSL_E_VIRTUAL_MACHINE_PLATFORM_REQUIRED", "wsl --install"),
        ("0x80370102", "firmware"),
        ("HCS_E_CONNECTION_TIMEOUT", "WSLService"),
        ("WSL_E_VM_CRASHED", "try again"),
        ("0x12345678", "wsl --update"),
    ];
    for (fault, remedy) in cases {
        let start = windows.locald(["vm", "start"]);
        let output = start.env("WSL_STAND_IN_FAULT", fault).fail(121, remedy);
        assert!(output.stderr.contains(fault), "{}", output.stderr);
    }
    let bad = windows.locald(["vm", "start"]).env("WINEPATH", "");
    bad.fail(121, "wsl.exe is not installed");
    let lost = windows
        .locald(["vm", "start"])
        .env("LOCALD_GUEST", "Z:\\nowhere");
    lost.fail(121, "wsl.tar.gz");
}

#[test]
fn a_distribution_that_was_removed_is_made_again() {
    let windows = Windows::start();
    windows.locald(["vm", "start"]).succeed();
    windows.wsl(&["--unregister", "locald"]);
    let status = windows.locald(["vm", "status", "--json"]).succeed();
    assert_eq!(status.json()[0]["state"], "absent");
    let again = windows.locald(["vm", "start"]).succeed();
    assert!(
        again.stderr.contains("Making the machine"),
        "{}",
        again.stderr
    );
}

/// A command line that runs a shell's line in the distribution.
fn inside(line: &str) -> Vec<&str> {
    let begin = ["-d", "locald", "-u", "root", "--cd", "/", "--exec"];
    [&begin[..], &["/bin/busybox", "sh", "-c", line]].concat()
}

const AGENT: &str = "/usr/local/bin/locald-agent";

#[test]
fn an_agent_that_is_broken_or_of_another_build_is_replaced() {
    let windows = Windows::start();
    windows.locald(["vm", "start"]).succeed();
    let sum = || {
        windows.wsl(&inside(
            "/bin/busybox sha256sum /usr/local/bin/locald-agent",
        ))
    };
    let store = format!(
        "/bin/busybox rm {AGENT}; /bin/busybox cat > {AGENT}; /bin/busybox chmod 755 {AGENT}"
    );
    let good = sum();
    windows.wsl_with(&inside(&store), b"broken");
    let mended = windows.locald(["vm", "start"]).succeed();
    assert!(
        mended.stderr.contains("locald replaces it"),
        "{}",
        mended.stderr
    );
    assert_eq!(sum(), good);
    windows.wsl_with(&inside(&store), &other_build());
    assert_ne!(sum(), good);
    let upgraded = windows.locald(["vm", "upgrade"]).succeed();
    let said = upgraded.stderr;
    assert!(said.contains("agent of another locald"), "{said}");
    assert_eq!(sum(), good);
}

/// The agent, with one bit of its build id changed.
fn other_build() -> Vec<u8> {
    let path = setting("LOCALD_TEST_WINDOWS") + "/locald-agent-x86_64";
    let mut program = fs_err::read(path).unwrap();
    let note = b"\x03\0\0\0GNU\0";
    let mut places = program.windows(note.len());
    let at = places.position(|it| it == note).unwrap();
    program[at + note.len()] ^= 1;
    program
}
