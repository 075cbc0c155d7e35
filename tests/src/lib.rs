//! What the end-to-end tests stand on. `scripts/test` prepares the programs
//! and the registry, and says by variables where they are.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "in a test every failure is a panic"
)]

mod app;
mod bait;
mod busybox;
mod cargo_project;
mod crafted;
mod cutting_proxy;
mod fault_proxy;
mod file_server;
mod gate;
mod git_server;
mod locald;
mod machine;
mod private_registry;
mod reader;
mod terminal;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use app::App;
pub use bait::{Bait, CANARY};
pub use busybox::{busybox, busybox_arm64, busybox_below, in_busybox};
pub use cargo_project::{CargoProject, compiled, run, rust_builder};
pub use crafted::crafted;
pub use cutting_proxy::{Cut, CuttingProxy, Moment};
pub use fault_proxy::{Fault, FaultProxy};
pub use file_server::FileServer;
pub use gate::Gate;
pub use git_server::GitServer;
pub use locald::{Locald, Output, Running, in_terminal, locald};
pub use machine::{Remote, Vm};
pub use private_registry::{Distribution, PrivateRegistry};
pub use reader::Reader;
pub use terminal::Terminal;

/// How long anything may take before a test gives up.
pub const DEADLINE: Duration = Duration::from_mins(5);

/// A variable that `scripts/test` sets.
pub fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run ./scripts/test"))
}

/// Host and port of the registry that holds the builders.
pub fn registry() -> String {
    setting("LOCALD_TEST_REGISTRY")
}

/// The builder made by `scripts/builder`.
pub fn builder() -> String {
    format!("{}/demo/builder", registry())
}

/// locald's directory that most tests share, so that the builder is pulled
/// once.
pub fn shared_home() -> PathBuf {
    setting("LOCALD_TEST_HOME").into()
}

/// A name for an image that no other test uses.
pub fn unique(name: &str) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("test/{name}-{}-{number}", std::process::id())
}

/// Waits until something is so.
pub fn await_that(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "waited in vain until {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A TCP port that nobody listens on.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Fetches a page, as soon as somebody serves it.
pub fn page(port: &str) -> String {
    let mut page = String::new();
    await_that("the page is served", || {
        let Ok(mut stream) = std::net::TcpStream::connect(format!("127.0.0.1:{port}")) else {
            return false;
        };
        page.clear();
        let asked = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
        asked.is_ok() && stream.read_to_string(&mut page).is_ok() && !page.is_empty()
    });
    page
}

/// The SHA-256 of a file, in hexadecimal digits, as coreutils have it.
pub fn sha256(file: &Path) -> String {
    let said = Reader("sha256sum").run(&[file.to_str().unwrap()]);
    said.split(' ').next().unwrap().to_owned()
}

/// Processes whose command line holds a text.
pub fn processes(text: &str) -> Vec<String> {
    let entries = fs_err::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().into_string().ok()?;
            pid.parse::<u32>().ok()?;
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(text).then(|| format!("{pid}: {line}"))
        })
        .collect()
}
