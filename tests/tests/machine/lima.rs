//! A virtual machine of lima's: real limactl, which refuses root.

use harness::{Locald, await_that, locald, setting};

use harness::{busybox, in_busybox as run};

/// The machine of one test; removed when dropped.
struct Lima {
    home: tempfile::TempDir,
}

impl Lima {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let guest = setting("LOCALD_TEST_LIMA_GUEST");
        let table = format!(
            "[machine]\nkind = \"lima\"\nmemory = \"1GiB\"\ncpus = 2\ndisk = \"8GiB\"\nguest = \"{guest}\"\n"
        );
        fs_err::write(home.path().join("config.toml"), table).unwrap();
        Self { home }
    }

    fn locald<S: AsRef<str>>(&self, arguments: impl IntoIterator<Item = S>) -> Locald {
        locald(arguments)
            .home(self.home.path())
            .without("LOCALD_AGENT")
            .without("LOCALD_MACHINE")
            .env("LOCALD_AGENTS", &setting("LOCALD_TEST_AGENTS"))
    }

    fn status(&self) -> (String, serde_json::Value) {
        let output = self
            .locald(["vm", "status", "--timings", "--json"])
            .succeed();
        let status = output.json().remove(0);
        (status["state"].as_str().unwrap().to_owned(), status)
    }

    /// The process whose number lima keeps in a file.
    fn kill(&self, file: &str) {
        let pid = fs_err::read_to_string(self.home.path().join("lima/locald").join(file)).unwrap();
        let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
}

impl Drop for Lima {
    fn drop(&mut self) {
        self.locald(["vm", "reset", "--yes"]).run();
    }
}

#[test]
fn a_machine_of_lima_works_heals_and_goes() {
    let lima = Lima::new();
    assert_eq!(lima.status().0, "absent");
    lima.locald(["vm", "doctor"]).succeed();
    let started = lima.locald(["vm", "start"]).succeed();
    assert!(
        started.stderr.contains("boot scripts"),
        "{}",
        started.stderr
    );
    let (state, status) = lima.status();
    assert_eq!(status["start"].as_array().unwrap().len(), 4, "{status}");
    assert_eq!((&*state, &status["transport"]), ("running", &"ssh".into()));
    assert!(
        status["clock-offset-milliseconds"].as_i64().unwrap().abs() < 1000,
        "{status}"
    );

    let image = busybox();
    lima.locald(["pull", &image]).succeed();
    let output = lima.locald(run(&image, "echo from inside; exit 3")).run();
    assert_eq!((output.code, &*output.stdout), (3, "from inside\n"));

    // One agent for all hosts: a stop knows of the other's work.
    let mut other = lima.locald(run(&image, "echo here; sleep 3")).start();
    other.await_output("here");
    let stopped = lima.locald(["vm", "stop"]).succeed();
    assert!(stopped.stderr.contains("Waiting for"), "{}", stopped.stderr);
    assert_eq!(other.wait().code, 0);
    assert_eq!(lima.status().0, "stopped");

    // It starts by itself, with what it had; a crash is told, and mended.
    let listed = lima.locald(["image", "ls"]).succeed();
    assert!(listed.stdout.contains("test/busybox"), "{}", listed.stdout);
    if std::env::var_os("LOCALD_TEST_ALL").is_some() {
        lima.kill("qemu.pid");
        await_that("lima has noticed", || {
            lima.status().0 == "crashed" || lima.status().0 == "stopped"
        });
        let again = lima.locald(["image", "ls"]).succeed();
        assert!(again.stdout.contains("test/busybox"), "{}", again.stdout);
        lima.kill("ha.pid");
        let again = lima.locald(["image", "ls"]).succeed();
        assert!(again.stdout.contains("test/busybox"), "{}", again.stdout);
        super::folder::is_live(&|arguments| lima.locald(arguments));
    }
    lima.locald(["vm", "reset", "--yes"]).succeed();
    assert_eq!(lima.status().0, "absent");
}

#[test]
fn lima_refuses_what_it_cannot_start() {
    let lima = Lima::new();
    let none = lima.locald(["vm", "start"]).env("PATH", "/nonexistent");
    none.fail(121, "lima is not installed");
}
