//! Agents that are elsewhere, and machines that cannot be one.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use harness::{App, await_that, builder, locald, processes, setting, shared_home, unique};

use super::build;

/// An agent that is killed when dropped.
pub(super) struct Agent(Child);

impl Agent {
    /// One that listens on a socket in a directory; its address, too.
    pub(super) fn serve(directory: &Path) -> (Self, String) {
        let socket = directory.join("agent.sock");
        let mut command = Command::new(setting("LOCALD_AGENT_BIN"));
        command.args(["serve", "--unix", socket.to_str().unwrap()]);
        command
            .env("LOCALD_HOME", shared_home())
            .stdin(Stdio::null());
        let agent = Self(command.spawn().unwrap());
        await_that("the agent listens", || socket.exists());
        (agent, format!("unix:{}", socket.display()))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_agent_behind_a_socket_serves_many_hosts() {
    let directory = tempfile::tempdir().unwrap();
    let (agent, address) = Agent::serve(directory.path());
    let socket = directory.path().join("agent.sock");
    let (app, name) = (App::web(), unique("socket"));
    let arguments = ["build", &app.text(), "-t", &name, "--builder", &builder()];
    locald(arguments).env("LOCALD_AGENT", &address).succeed();
    let status = locald(["vm", "status"])
        .env("LOCALD_AGENT", &address)
        .succeed();
    assert!(status.stdout.contains("agent.sock"), "{}", status.stdout);
    let running = std::iter::repeat_with(|| {
        let command = ["run", "--command", &name, "--", "echo", "served"];
        locald(command).env("LOCALD_AGENT", &address).start()
    });
    for output in running.take(4).collect::<Vec<_>>() {
        assert_eq!(output.wait().stdout, "served\n");
    }
    // Another agent does not take the socket over, and nobody's death does.
    let mut second = Command::new(setting("LOCALD_AGENT_BIN"));
    second.args(["serve", "--unix", socket.to_str().unwrap()]);
    let output = second.env("LOCALD_HOME", shared_home()).output().unwrap();
    assert!(!output.status.success());
    drop(agent);
    let failed = locald(["image", "ls"]).env("LOCALD_AGENT", &address);
    failed.fail(121, "agent.sock");
}

/// The mode of the socket keeps others away; where it does not, the agent does.
#[test]
fn another_user_is_not_let_in() {
    use std::os::unix::fs::PermissionsExt as _;
    if !rustix::process::geteuid().is_root() {
        // Nobody else can be impersonated.
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("agent.sock");
    let mut command = Command::new(setting("LOCALD_AGENT_BIN"));
    command.args(["serve", "--unix", socket.to_str().unwrap()]);
    command
        .env("LOCALD_HOME", directory.path().join("home"))
        .env("LOCALD_LOG", "warn");
    let mut agent = Agent(command.stderr(Stdio::piped()).spawn().unwrap());
    await_that("the agent listens", || socket.exists());
    let mode = |path: &std::path::Path, mode: u32| {
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    await_that("the socket is private", || {
        let metadata = fs_err::metadata(&socket).unwrap();
        metadata.permissions().mode() & 0o777 == 0o600
    });
    mode(directory.path(), 0o755);
    // How many bytes another user gets, and as which error.
    let script = "import socket, sys\n\
        stream = socket.socket(socket.AF_UNIX)\n\
        try:\n stream.connect(sys.argv[1]); print(len(stream.recv(64)))\n\
        except OSError as error: print(type(error).__name__)";
    let ask = |user: &str| {
        let mut command = Command::new("setpriv");
        // One in the path may be out of that user's reach.
        let python = "/usr/bin/python3";
        command.args(["--reuid", user, "--clear-groups", python, "-c", script]);
        let output = command.arg(&socket).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(ask("54321"), "PermissionError\n");
    mode(&socket, 0o666);
    assert_eq!(ask("54321"), "0\n", "the connection is closed at once");
    agent.0.kill().unwrap();
    let mut said = String::new();
    let mut log = agent.0.stderr.take().unwrap();
    std::io::Read::read_to_string(&mut log, &mut said).unwrap();
    assert!(said.contains("another user is refused"), "{said}");
}

#[test]
fn an_agent_that_is_killed_takes_its_containers_along() {
    let mark = format!("{}", 500_000 + std::process::id());
    let app = App::probe(&format!("exec sleep {mark}"));
    let agent = format!("exec:{} stdio", setting("LOCALD_AGENT_BIN"));
    let name = unique("agent-killed");
    let arguments = ["build", &app.text(), "-t", &name, "--builder", &builder()];
    let running = locald(arguments).env("LOCALD_AGENT", &agent).start();
    let sleep = format!("sleep {mark}");
    await_that("the build sleeps", || !processes(&sleep).is_empty());
    let host = running.id().to_string();
    let children = processes("locald-agent stdio");
    let mine = children
        .iter()
        .filter_map(|line| line.split(':').next())
        .find(|pid| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.contains(&format!("PPid:\t{host}\n"))
        });
    let pid = mine
        .unwrap()
        .parse()
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let output = running.wait();
    assert_eq!(output.code, 121, "{}", output.stderr);
    await_that("its containers are gone", || processes(&sleep).is_empty());
    app.write("probe.sh", "true");
    build(&app, &name);
}

#[test]
fn an_agent_that_is_none_is_named() {
    for (agent, code, saying) in [
        ("tcp:1.2.3.4", 111, "tcp:1.2.3.4"),
        ("unix:/nowhere/agent.sock", 121, "/nowhere/agent.sock"),
        (
            "exec:/nowhere/locald-agent stdio",
            121,
            "/nowhere/locald-agent",
        ),
        ("exec:echo hello from elsewhere", 121, "not locald"),
        ("exec:true", 121, "agent"),
        ("vsock:1:1", 121, "vsock"),
    ] {
        locald(["image", "ls"])
            .env("LOCALD_AGENT", agent)
            .fail(code, saying);
    }
}

#[test]
fn a_doctor_finds_nothing_wrong_here() {
    let output = locald(["doctor", "--json"]).succeed();
    let checks = output.json()[0]["checks"].as_array().unwrap().clone();
    assert!(checks.len() >= 5, "{checks:?}");
    assert!(
        checks.iter().all(|check| check["verdict"] != "bad"),
        "{checks:?}"
    );
}

#[test]
fn a_machine_without_user_namespaces_is_told_the_remedy() {
    let home = tempfile::tempdir().unwrap();
    let script = format!(
        "echo 0 > /proc/sys/user/max_user_namespaces; unset LOCALD_AGENT; \
         {bin} image ls; echo \"code $?\"; {bin} doctor; echo \"code $?\"",
        bin = setting("LOCALD_BIN")
    );
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "sh", "-c", &script]);
    let output = command.env("LOCALD_HOME", home.path()).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stdout.matches("code 121").count(), 2, "{stdout}{stderr}");
    assert!(stderr.contains("user.max_user_namespaces"), "{stderr}");
    assert!(
        stdout.contains("sysctl -w user.max_user_namespaces"),
        "{stdout}"
    );
}
