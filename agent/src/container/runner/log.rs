//! Collects libcontainer's log in a memory file that all of its processes
//! share. libcontainer's errors do not carry their causes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;

use tracing::Level;

/// The most bytes to read back.
const MAX_BYTES: usize = 16 * 1024;

/// The errors that libcontainer logged since the runner started.
#[derive(Debug)]
pub(super) struct Log(File);

impl Log {
    /// Logs errors to a copy of the runner's standard error, which the agent
    /// made a memory file. A container gets another standard error, and must
    /// not see this one.
    pub(super) fn start() -> io::Result<Self> {
        let file = File::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?);
        tracing_subscriber::fmt()
            .with_max_level(Level::ERROR)
            .without_time()
            .with_level(false)
            .with_target(false)
            .with_ansi(false)
            .with_writer(Mutex::new(file.try_clone()?))
            .init();
        Ok(Self(file))
    }

    /// The lines of the log.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut bytes = vec![0; MAX_BYTES];
        let read = self.0.read_at(&mut bytes, 0).unwrap_or_default();
        let text = String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned();
        text.lines().map(str::to_owned).collect()
    }
}
