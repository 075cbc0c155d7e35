//! Git's own server, `git daemon`.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{await_that, free_port};

/// Serves repositories; ends when dropped.
#[derive(Debug)]
pub struct GitServer {
    daemon: Child,
    port: u16,
}

impl GitServer {
    /// Serves all repositories in a directory.
    pub fn start(directory: &Path) -> Self {
        let port = free_port();
        let place = Command::new("git").arg("--exec-path").output().unwrap();
        let place = String::from_utf8(place.stdout).unwrap();
        // Not by way of `git`, which would be another process.
        let daemon = Command::new(Path::new(place.trim()).join("git-daemon"))
            .args(["--export-all", "--listen=127.0.0.1"])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", directory.display()))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        await_that("git listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { daemon, port }
    }

    /// `git://HOST:PORT`
    pub fn url(&self) -> String {
        format!("git://127.0.0.1:{}", self.port)
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
