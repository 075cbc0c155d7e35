//! A Windows of a test's own: a home of locald and distributions that no other
//! test sees.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use harness::{Locald, setting};

/// Ends with its distributions when it is dropped.
pub(super) struct Windows {
    folder: tempfile::TempDir,
    service: Child,
    address: String,
}

impl Windows {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("wsl");
        fs_err::create_dir(&state).unwrap();
        let mut service = Command::new(setting("LOCALD_TEST_WSL_STAND_IN"))
            .arg("serve")
            .arg(&state)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let mut stdout = BufReader::new(service.stdout.take().unwrap());
        stdout.read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        Self {
            folder,
            service,
            address,
        }
    }

    /// A command line of `locald.exe`.
    pub(super) fn locald<S: AsRef<str>>(&self, arguments: impl IntoIterator<Item = S>) -> Locald {
        let program = setting("LOCALD_TEST_WINDOWS") + "/locald.exe";
        let mut command = Command::new(setting("LOCALD_TEST_WINE"));
        command.arg(program);
        command.args(arguments.into_iter().map(|it| it.as_ref().to_owned()));
        self.environment(|name, value| {
            command.env(name, value);
        });
        Locald::of(command)
    }

    /// Variables that `locald.exe` and `wsl.exe` need.
    pub(super) fn environment(&self, mut set: impl FnMut(&str, &str)) {
        set("WINEPATH", &path(setting("LOCALD_TEST_WINDOWS").as_ref()));
        set("WSL_STAND_IN", &self.address);
        set("LOCALD_HOME", &path(&self.home()));
        set("LOCALD_GUEST", &path(setting("LOCALD_TEST_GUEST").as_ref()));
    }

    /// Calls `wsl.exe` behind locald's back.
    pub(super) fn wsl(&self, arguments: &[&str]) -> String {
        self.wsl_with(arguments, b"")
    }

    /// The same with an input.
    pub(super) fn wsl_with(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut child = Command::new(setting("LOCALD_TEST_WSL_STAND_IN"))
            .args(arguments)
            .env("WSL_STAND_IN", &self.address)
            .env("WSL_UTF8", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that reads nothing has ended already.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).replace('\r', "")
    }

    /// Where locald keeps its things.
    pub(super) fn home(&self) -> std::path::PathBuf {
        self.folder.path().join("home")
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}

/// A path as Windows programs see it under Wine.
pub(super) fn path(path: &Path) -> String {
    format!("Z:{}", path.to_str().unwrap().replace('/', "\\"))
}
