//! Real registries beside the one that holds the builders.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{await_that, free_port};

/// A registry of a test's own; killed when dropped.
#[derive(Debug)]
struct Server {
    child: Child,
    address: String,
    _directory: tempfile::TempDir,
}

impl Server {
    /// `more` adds to the configuration what it needs of a directory.
    fn start(program: &str, more: impl FnOnce(&Path) -> String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = format!("localhost:{}", free_port());
        let configuration = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{address}\"}}\n{}",
            directory.path().join("data").display(),
            more(directory.path()),
        );
        let path = directory.path().join("config.yml");
        fs_err::write(&path, configuration).unwrap();
        let child = Command::new(program)
            .arg("serve")
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
        await_that("the registry listens", || {
            std::net::TcpStream::connect(&address).is_ok()
        });
        Self {
            child,
            address,
            _directory: directory,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Debian's registry, with one account, `me`.
#[derive(Debug)]
pub struct PrivateRegistry(Server);

impl PrivateRegistry {
    /// Starts it; the account has this password.
    pub fn start(password: &str) -> Self {
        let accounts = Command::new("htpasswd")
            .args(["-Bbn", "me", password])
            .output()
            .unwrap();
        assert!(accounts.status.success());
        Self(Server::start("docker-registry", |directory| {
            let path = directory.join("htpasswd");
            fs_err::write(&path, accounts.stdout).unwrap();
            let path = path.display();
            format!("auth: {{htpasswd: {{realm: test, path: {path}}}}}\n")
        }))
    }

    /// `localhost:PORT`
    pub fn address(&self) -> &str {
        &self.0.address
    }
}

/// The registry of the distribution project, version 3.
#[derive(Debug)]
pub struct Distribution(Server);

impl Distribution {
    /// Starts it.
    pub fn start() -> Self {
        Self(Server::start("distribution", |_| String::new()))
    }

    /// `localhost:PORT`
    pub fn address(&self) -> &str {
        &self.0.address
    }
}
