//! Runs the first process of a guest that locald made. It mounts file systems,
//! loads modules, sets up the network, and restarts the agent if it dies.
//!
//! It is the same program as the agent, installed as `/init` of an initramfs
//! that `vm-images/guest` makes. The host passes settings and secrets through
//! QEMU's firmware configuration, so that none appears on a command line.

mod disk;
mod files;
mod network;

use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, wait};
use rustix::system::RebootCommand;

use crate::registry::address::LOOPBACK_OF_HOST;

/// The vsock port that the agent listens on.
pub const PORT: u32 = 1024;
/// The signal with which the kernel kills a process if memory runs out.
const KILLED: i32 = Signal::KILL.as_raw();
/// The mount point of the data disk.
const HOME: &str = "/var/lib/locald";
/// An agent that ends earlier has a fault that a restart does not repair.
const TOO_EARLY: Duration = Duration::from_secs(5);
/// The number of such failures in a row that ends the machine.
const ATTEMPTS: u32 = 3;

/// A step of the guest's start failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}")]
struct Failed {
    step: String,
    #[source]
    source: io::Error,
}

/// Adds to an error the step that failed.
trait Step<T> {
    fn step(self, step: impl FnOnce() -> String) -> Result<T, Failed>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: impl FnOnce() -> String) -> Result<T, Failed> {
        self.map_err(|error| Failed {
            step: step(),
            source: error.into(),
        })
    }
}

/// Whether this process is the first of a guest, and not of a container.
pub fn is_init() -> bool {
    let name = std::env::args_os().next();
    rustix::process::getpid().is_init() && name.is_some_and(|name| name == "/init")
}

/// Runs the guest until it is switched off. Never returns after a success,
/// because the machine ends first.
pub fn run() -> ExitCode {
    match start().and_then(|()| supervise()) {
        Ok(()) => files::say("switching off"),
        Err(error) => files::say(&format!("{error}: {}", error.source)),
    }
    rustix::fs::sync();
    if let Err(error) = rustix::mount::unmount(HOME, rustix::mount::UnmountFlags::empty()) {
        files::say(&format!("the data disk stays mounted: {error}"));
    }
    if let Err(error) = rustix::system::reboot(RebootCommand::PowerOff) {
        files::say(&format!("cannot switch off: {error}"));
    }
    // The kernel panics, which also ends the machine.
    ExitCode::FAILURE
}

fn start() -> Result<(), Failed> {
    files::mount_kernel_file_systems()?;
    files::quieten();
    files::say("modules");
    files::load_modules()?;
    files::say("disk");
    files::make_root()?;
    disk::mount(&Path::new(files::NEW_ROOT).join(&HOME[1..]))?;
    files::enter_root()?;
    files::say("network");
    network::configure()?;
    files::limit_memory()
}

/// Restarts the agent when it dies, until one ends regularly.
fn supervise() -> Result<(), Failed> {
    let mut early = 0;
    while early < ATTEMPTS {
        let started = Instant::now();
        let agent = start_agent().step(|| "start the agent".to_owned())?;
        let status = reap(agent.id()).step(|| "wait for the agent".to_owned())?;
        match (status.exit_status(), status.terminating_signal()) {
            (Some(0), _) => return Ok(()),
            (_, Some(KILLED)) => {
                files::say("the agent was killed, perhaps for want of memory: it is started again");
            }
            _ => files::say("the agent died: it is started again"),
        }
        early = if started.elapsed() < TOO_EARLY {
            early + 1
        } else {
            0
        };
    }
    let source = io::Error::other("it ended at once, again and again");
    Err(source).step(|| "keep the agent running".to_owned())
}

fn start_agent() -> io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    let port = PORT.to_string();
    command.args(["serve", "--own-machine", "--vsock", &port, "--token-file"]);
    command.arg(files::TOKEN);
    if let Some(seconds) = files::setting("idle") {
        command.arg("--idle").arg(seconds);
    }
    command
        .env_clear()
        .env("HOME", "/root")
        .env("PATH", "/bin:/sbin")
        .env("LOCALD_HOME", HOME)
        .env(
            "LOCALD_LOG",
            files::setting("log").unwrap_or("warn".to_owned()),
        )
        .env(LOOPBACK_OF_HOST, network::GATEWAY);
    command.spawn()
}

/// Reaps children, including orphans of other processes, until the agent ends.
fn reap(agent: u32) -> io::Result<WaitStatus> {
    loop {
        let Some((pid, status)) = wait(WaitOptions::empty())? else {
            continue;
        };
        if u32::try_from(Pid::as_raw(Some(pid))).ok() == Some(agent) {
            return Ok(status);
        }
    }
}
