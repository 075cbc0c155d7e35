//! The supervisor of a run: this program with a hidden first argument. QEMU and
//! its vsock device are its children. It ends them if one of them ends, if it
//! is killed itself, or if the machine's folder is removed.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use super::folder::is_file;
use super::run_state::{ALIVE, End, Processes};
use crate::platform::state_file;

/// The hidden first argument; the second is the folder of the run.
const WORD: &str = "__locald-qemu";
/// The file with the configuration of the run.
pub(super) const RUN_CONFIG: &str = "plan.json";
/// The socket between QEMU and its vsock device.
pub(super) const DEVICE_SOCKET: &str = "vhost.sock";
/// `vhost-device-vsock` makes its socket within this time.
const DEVICE: Duration = Duration::from_secs(5);

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChildCommand {
    pub(super) path: String,
    pub(super) arguments: Vec<String>,
}

/// The programs of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunConfig {
    /// Present if the kernel has no vsock device.
    pub(super) device: Option<ChildCommand>,
    pub(super) qemu: ChildCommand,
}

/// Starts a supervisor that outlives this process.
pub(super) fn spawn(run: &Path) -> io::Result<()> {
    let log = fs_err::File::create(run.join("supervisor.log"))?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(WORD)
        .arg(run)
        .current_dir(run)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log.into_parts().0)
        // Ctrl-C must end only the command that starts the machine.
        .process_group(0);
    // The supervisor outlives this process, so nothing waits for it here.
    command.spawn().map(drop)
}

/// Supervises a run, if this process was started for that. Returns whether it
/// did.
pub(crate) fn dispatch() -> bool {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|word| word != WORD) {
        return false;
    }
    let Some(run) = arguments.next() else {
        return true;
    };
    let how = supervise(Path::new(&run)).unwrap_or_else(|error| error.to_string());
    // The folder may have been removed.
    let _ = state_file::write(&Path::new(&run).join("end.json"), &End { how });
    let _ = fs_err::remove_file(Path::new(&run).join("processes.json"));
    true
}

/// Supervises a run. Returns how it ended.
fn supervise(run: &Path) -> io::Result<String> {
    // Without a terminal, the supervisor receives no SIGHUP.
    let _ = rustix::process::setsid();
    let lock = state_file::open_lock(&run.join(ALIVE))?;
    lock.lock()?;
    // The children inherit the lock: the machine runs as long as one of them
    // does.
    rustix::io::fcntl_setfd(&lock, rustix::io::FdFlags::empty())?;
    let config: RunConfig = serde_json::from_slice(&fs_err::read(run.join(RUN_CONFIG))?)?;
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let changes = inotify::WatchFlags::CREATE
        | inotify::WatchFlags::DELETE
        | inotify::WatchFlags::DELETE_SELF
        | inotify::WatchFlags::MOVE_SELF;
    inotify::add_watch(&watch, run, changes)?;
    let mut processes = Processes {
        supervisor: std::process::id(),
        ..Processes::default()
    };
    let mut device = None;
    if let Some(program) = &config.device {
        let child = start(program, run, "vhost.log")?;
        processes.vsock = Some(child.id());
        device = Some(Guarded(child));
        await_socket(run, &watch)?;
    }
    let qemu = Guarded(start(&config.qemu, run, "qemu.log")?);
    processes.qemu = Some(qemu.0.id());
    state_file::write(&run.join("processes.json"), &processes)?;
    wait(qemu, device, &watch, || is_file(&lock, &run.join(ALIVE)))
}

/// A child that dies when this is dropped.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(program: &ChildCommand, run: &Path, log: &str) -> io::Result<Child> {
    let log = fs_err::File::create(run.join(log))?.into_parts().0;
    let mut command = Command::new(&program.path);
    command
        .args(&program.arguments)
        .current_dir(run)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    // SAFETY: between fork and exec only one system call is made, which
    // neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    let started = command.spawn();
    started.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.path)))
}

fn await_socket(run: &Path, watch: &impl std::os::fd::AsFd) -> io::Result<()> {
    let deadline = Instant::now() + DEVICE;
    while !run.join(DEVICE_SOCKET).exists() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::other("vhost-device-vsock made no socket in 5 s"));
        }
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&left))?;
        drain(watch)?;
    }
    Ok(())
}

/// Waits until a process ends, or until the folder is removed or replaced.
/// Returns the reason.
fn wait(
    mut qemu: Guarded,
    mut device: Option<Guarded>,
    watch: &impl std::os::fd::AsFd,
    is_there: impl Fn() -> bool,
) -> io::Result<String> {
    let qemu_ends = descriptor(&qemu)?;
    let device_ends = device.as_ref().map(descriptor).transpose()?;
    loop {
        if !is_there() {
            return Ok("its folder was removed".to_owned());
        }
        let mut polled = vec![
            PollFd::new(watch, PollFlags::IN),
            PollFd::new(&qemu_ends, PollFlags::IN),
        ];
        polled.extend(device_ends.iter().map(|it| PollFd::new(it, PollFlags::IN)));
        match poll(&mut polled, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        drain(watch)?;
        if let Some(status) = qemu.0.try_wait()? {
            return Ok(format!("QEMU ended with {status}"));
        }
        if let Some(device) = &mut device
            && let Some(status) = device.0.try_wait()?
        {
            return Ok(format!("vhost-device-vsock ended with {status}"));
        }
    }
}

fn descriptor(child: &Guarded) -> io::Result<std::os::fd::OwnedFd> {
    let pid = i32::try_from(child.0.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("a process id is out of range"))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Discards the events of the watch: any event has the same effect.
fn drain(watch: &impl std::os::fd::AsFd) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(watch, &mut buffer) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
