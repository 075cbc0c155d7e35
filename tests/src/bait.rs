//! What there is to be had on the machine of a hostile buildpack.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::App;

/// Files, sockets and a process, none of which a container may reach; gone when
/// dropped.
#[derive(Debug)]
pub struct Bait {
    directory: tempfile::TempDir,
    process: Child,
    abstract_name: String,
    _listeners: (UnixListener, UnixListener, std::net::TcpListener),
    port: u16,
    /// What a process that is left behind sleeps for.
    pub daemon: String,
}

/// What a hostile program finds no trace of.
pub const CANARY: &str = "canary-content-4b1d";

impl Bait {
    /// Lays it out.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs_err::write(directory.path().join("file"), CANARY).unwrap();
        let number = 1_000_000 + std::process::id();
        let process = Command::new("sleep")
            .arg(format!("{number}.5"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let abstract_name = format!("locald-bait-{number}-{}", directory.path().display());
        let address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            process,
            daemon: format!("{number}.25"),
            port: port.local_addr().unwrap().port(),
            _listeners: (
                UnixListener::bind_addr(&address).unwrap(),
                UnixListener::bind(directory.path().join("socket")).unwrap(),
                port,
            ),
            abstract_name,
            directory,
        }
    }

    /// Tells the application's program what to look for; `home` is locald's.
    pub fn describe(&self, app: &App, home: &Path, secrets: &[&str]) {
        let inside = |name: &str| self.directory.path().join(name);
        let index = home.join("store/index.json");
        // Reversed: it is not to be found in this file.
        let secrets = secrets.iter().chain([&CANARY]);
        let secrets: Vec<String> = secrets.map(|it| it.chars().rev().collect()).collect();
        let bait = json!({
            "process": self.process_argument(),
            "daemon": self.daemon,
            "secrets": secrets,
            "files": [inside("file"), index],
            "socket": inside("socket"),
            "abstract": self.abstract_name,
            "port": self.port,
        });
        app.write("bait.json", &bait.to_string());
    }

    fn process_argument(&self) -> String {
        self.daemon.replace(".25", ".5")
    }
}

impl Default for Bait {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Bait {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
