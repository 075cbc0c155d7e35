//! Starts processes that end when their handles are dropped. When a runner
//! dies, all processes in its container die.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, LazyLock, PoisonError};
use std::thread;

use rustix::fs::MemfdFlags;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::sync::oneshot;

use super::{pause, runner};
use crate::kernel::reexec;
use crate::kernel::syscall;

/// The most bytes to read of a dead runner's log.
const MAX_LOG: usize = 16 * 1024;

/// A runner. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Runner {
    child: Helper,
    process: OwnedFd,
    /// The standard error of the runner.
    log: File,
    /// The container's init, after the runner has reported it.
    init: Option<Arc<OwnedFd>>,
}

/// A helper process of a container. Dropping it kills it. Present until the
/// reaper takes it.
#[derive(Debug)]
pub(super) struct Helper(Option<Child>);

type Job = Box<dyn FnOnce() + Send>;
type Thread<T> = LazyLock<std::sync::Mutex<io::Result<mpsc::Sender<T>>>>;

/// A thread that starts processes and never ends. The kernel sends a death
/// signal when the thread that started the process ends.
static SPAWNER: Thread<Job> = LazyLock::new(|| worker("container-spawner", |job: Job| job()));

/// A thread that waits for killed processes, so that none remains as a zombie.
static REAPER: Thread<Child> = LazyLock::new(|| {
    worker("container-reaper", |mut child: Child| {
        if let Err(error) = child.wait() {
            tracing::warn!(%error, "a container's process cannot be waited for");
        }
    })
});

fn worker<T: Send + 'static>(
    name: &str,
    work: impl Fn(T) + Send + 'static,
) -> std::sync::Mutex<io::Result<mpsc::Sender<T>>> {
    let (sender, jobs) = mpsc::channel();
    let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
        for job in jobs {
            work(job);
        }
    });
    std::sync::Mutex::new(started.map(|_| sender))
}

fn hand_over<T>(thread: &Thread<T>, job: T) -> io::Result<()> {
    let sender = thread.lock().unwrap_or_else(PoisonError::into_inner);
    match &*sender {
        Ok(sender) => sender
            .send(job)
            .map_err(|_| io::Error::other("the thread for containers has ended")),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    }
}

/// Starts a process on the thread that never ends. If the caller is cancelled
/// meanwhile, the new process ends, too.
async fn spawn<T: Send + 'static>(
    start: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (answer, answered) = oneshot::channel();
    let job = move || drop(answer.send(start()));
    hand_over(&SPAWNER, Box::new(job))?;
    answered
        .await
        .map_err(|_| io::Error::other("the thread for containers has ended"))?
}

/// The last lines of a process's log.
pub(super) fn last_lines(log: &File) -> Vec<String> {
    let mut bytes = vec![0; MAX_LOG];
    let read = log.read_at(&mut bytes, 0).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned();
    text.lines().map(str::to_owned).collect()
}

impl Runner {
    /// Starts a runner that reads its configuration from `control`.
    pub(super) async fn spawn(control: OwnedFd) -> io::Result<Self> {
        spawn(|| Self::spawn_here(control)).await
    }

    /// No code runs between fork and exec, so the standard library can use
    /// `posix_spawn`, whose cost does not grow with the agent's memory.
    fn spawn_here(control: OwnedFd) -> io::Result<Self> {
        let log = File::from(rustix::fs::memfd_create("runner-log", MemfdFlags::CLOEXEC)?);
        let mut command = reexec::command(&runner::TASK);
        command
            .stdin(control)
            .stdout(Stdio::null())
            .stderr(log.try_clone()?)
            // Ctrl-C at a terminal goes to the whole process group. A separate
            // group leaves it to the host to stop the container.
            .process_group(0);
        let child = Helper::spawn_here(command)?;
        Ok(Self {
            process: open_process(child.id())?,
            child,
            log,
            init: None,
        })
    }

    /// Sets the container's init.
    pub(super) fn set_init(&mut self, init: OwnedFd) {
        let init = Arc::new(init);
        pause::add(&init);
        self.init = Some(init);
    }

    /// The process id of the runner.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the container's init, which forwards it.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        match &self.init {
            Some(init) => send_signal(init, signal),
            None => Ok(()),
        }
    }

    /// Waits until the runner has ended and all of its mounts are gone.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        let process = syscall::watch(self.process.try_clone()?, Interest::READABLE)?;
        drop(process.readable().await?);
        self.child.wait()
    }

    /// Kills the container, its init and the runner.
    pub(super) fn kill(&self) -> io::Result<()> {
        if let Some(init) = &self.init {
            send_signal(init, Signal::KILL)?;
        }
        send_signal(&self.process, Signal::KILL)
    }

    /// The last lines that the runner wrote to its standard error.
    pub(super) fn log(&self) -> Vec<String> {
        last_lines(&self.log)
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // The handle of the runner itself kills the runner.
        if let Some(init) = &self.init
            && let Err(error) = send_signal(init, Signal::KILL)
        {
            tracing::warn!(%error, "a container cannot be killed");
        }
    }
}

impl Helper {
    pub(super) async fn spawn(command: Command) -> io::Result<Self> {
        spawn(|| Self::spawn_here(command)).await
    }

    fn spawn_here(mut command: Command) -> io::Result<Self> {
        Ok(Self(Some(command.spawn()?)))
    }

    /// The process id; zero after the reaper has taken the process.
    fn id(&self) -> u32 {
        self.0.as_ref().map_or(0, Child::id)
    }

    fn wait(&mut self) -> io::Result<ExitStatus> {
        match &mut self.0 {
            Some(child) => child.wait(),
            None => Err(io::Error::other("the process was already given up")),
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let Some(mut child) = self.0.take() else {
            return;
        };
        if matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        let killed = child.kill();
        if let Err(error) = killed.and_then(|()| hand_over(&REAPER, child)) {
            tracing::warn!(%error, "a container's process cannot be ended");
        }
    }
}

fn open_process(id: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("a process id is out of range"))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Sends a signal. Succeeds if the process has already ended.
fn send_signal(process: &OwnedFd, signal: Signal) -> io::Result<()> {
    match pidfd_send_signal(process, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
