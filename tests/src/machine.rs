//! Machines of tests: virtual ones, and a host that only ssh reaches.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Locald, await_that, locald, setting};

/// A virtual machine of its own; removed when dropped.
#[derive(Debug)]
pub struct Vm {
    home: tempfile::TempDir,
    guest: PathBuf,
}

impl Default for Vm {
    fn default() -> Self {
        Self::new("memory = \"512MiB\"\ncpus = 2\ndisk = \"8GiB\"\n")
    }
}

impl Vm {
    /// A machine with such a table in the user's configuration. It is started
    /// when it is needed.
    pub fn new(table: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let configuration = format!("[machine]\nkind = \"qemu\"\n{table}");
        fs_err::write(home.path().join("config.toml"), configuration).unwrap();
        let guest = setting("LOCALD_TEST_GUEST").into();
        Self { home, guest }
    }

    /// From now on, another guest.
    pub fn use_guest(&mut self, folder: &Path) {
        self.guest = folder.into();
    }

    /// A command line that is about this machine.
    pub fn locald<S: AsRef<str>>(&self, arguments: impl IntoIterator<Item = S>) -> Locald {
        locald(arguments)
            .home(self.home.path())
            .without("LOCALD_AGENT")
            .without("LOCALD_MACHINE")
            .env("LOCALD_GUEST", self.guest.to_str().unwrap())
    }

    /// A script that the machine's own shell runs, as root.
    pub fn inside(&self, script: &str) -> Locald {
        self.locald(["vm", "ssh", "--", "sh", "-c", script])
    }

    /// The state that `vm status` tells, and all that it tells.
    pub fn status(&self) -> (String, serde_json::Value) {
        let output = self.locald(["vm", "status", "--json"]).succeed();
        let status = output.json().remove(0);
        (status["state"].as_str().unwrap().to_owned(), status)
    }

    /// The folder of the current run.
    pub fn run(&self) -> PathBuf {
        self.home.path().join("machines/qemu/run")
    }

    /// The folder of all machines.
    pub fn folder(&self) -> PathBuf {
        self.home.path().join("machines")
    }

    /// Sends a signal to one of the machine's processes.
    pub fn signal(&self, process: &str, signal: Signal) {
        kill_process(self.process(process), signal).unwrap();
    }

    /// `qemu`, `vsock` or `supervisor`.
    pub fn process(&self, name: &str) -> Pid {
        let bytes = fs_err::read(self.run().join("processes.json")).unwrap();
        let processes: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let pid = processes[name].as_i64().unwrap();
        Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
    }

    /// Waits until nothing of the machine runs.
    pub fn await_end(&self) {
        let run = self.run();
        let mark = run.to_str().unwrap().to_owned();
        await_that("the machine's processes are gone", || {
            in_folder(&mark).is_empty()
        });
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        let reset = self.locald(["vm", "reset", "--yes"]).run();
        let gone = reset.code == 0 || std::thread::panicking();
        assert!(gone, "the machine stays: {}", reset.stderr);
    }
}

/// Processes that work in a folder.
fn in_folder(folder: &str) -> Vec<String> {
    let entries = fs_err::read_dir("/proc").unwrap().flatten();
    let inside = |pid: &str| {
        let cwd = std::fs::read_link(format!("/proc/{pid}/cwd"));
        cwd.is_ok_and(|cwd| cwd.to_string_lossy().starts_with(folder))
    };
    let pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    pids.filter(|pid| inside(pid)).collect()
}

/// A host that only ssh reaches: `scripts/remote-host`. Ended when dropped.
#[derive(Debug)]
pub struct Remote {
    folder: tempfile::TempDir,
    home: tempfile::TempDir,
    script: Child,
}

impl Default for Remote {
    fn default() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = crate::registry();
        let port = port.rsplit_once(':').unwrap().1.to_owned();
        let mut script = Command::new(setting("LOCALD_TEST_REMOTE_HOST"));
        script.arg(folder.path()).arg(port).stdin(Stdio::null());
        let mut script = script.spawn().unwrap();
        await_that("the remote host is ready", || {
            assert_eq!(script.try_wait().unwrap(), None, "the remote host");
            folder.path().join("ready").exists()
        });
        let home = tempfile::tempdir().unwrap();
        Self {
            folder,
            home,
            script,
        }
    }
}

impl Remote {
    /// A command line that is about this machine.
    pub fn locald<S: AsRef<str>>(&self, arguments: impl IntoIterator<Item = S>) -> Locald {
        let ssh = self.folder.path().join("bin");
        let path = format!("{}:{}", ssh.display(), setting("PATH"));
        locald(arguments)
            .home(self.home.path())
            .without("LOCALD_AGENT")
            .env("LOCALD_MACHINE", "ssh://remote")
            .env("LOCALD_AGENTS", &setting("LOCALD_TEST_AGENTS"))
            .env("PATH", &path)
    }

    /// The home directory there.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.script), Signal::TERM);
        let _ = self.script.wait();
    }
}
