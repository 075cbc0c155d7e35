//! The folder of the machine.
//!
//! ```text
//! data.qcow2       images, caches, everything that is worth keeping
//! token            the secret that the agent expects from a host
//! size.json        the size that `vm resize` set
//! acceleration     whether KVM works here, as a test found
//! start.lock       locked while a command starts or removes the machine
//! guests/          a downloaded guest
//! run/             the current or last run: lock, sockets, logs
//! ```

use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

pub(super) use protocol::AGENT_LISTENS as LISTENS;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::QemuError;
use crate::machine::size;
use crate::platform::state_file;
use crate::settings::Shape;

/// The guest's last message on the console when it shuts down.
pub(super) const SWITCHED_OFF: &str = "locald: switching off";
/// The files in the folder of a guest.
pub(super) const GUEST_FILES: [&str; 3] = [KERNEL, INITRAMFS, DESCRIPTION];
pub(super) const KERNEL: &str = "vmlinuz";
pub(super) const INITRAMFS: &str = "initramfs";
pub(super) const DESCRIPTION: &str = "guest.json";
/// Length of the agent's token in bytes.
const TOKEN: usize = 32;

/// The folder of the machine.
#[derive(Debug, Clone)]
pub(super) struct MachineFolder {
    root: PathBuf,
}

/// The lock of a start. The system releases it when its holder ends.
#[derive(Debug)]
pub(super) struct StartLock {
    _file: std::fs::File,
}

/// The vsock transport of this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Transport {
    /// A Unix socket of `vhost-device-vsock`.
    Hybrid,
    /// The kernel's vsock, with this context id.
    Kernel(u32),
}

impl MachineFolder {
    pub(super) fn new(machines: &Path) -> Self {
        Self {
            root: machines.join("qemu"),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the current or last run.
    pub(super) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    pub(super) fn disk(&self) -> PathBuf {
        self.root.join("data.qcow2")
    }

    pub(super) fn guests(&self) -> PathBuf {
        self.root.join("guests")
    }

    pub(super) fn acceleration(&self) -> PathBuf {
        self.root.join("acceleration")
    }

    /// Makes the folder. Only its user can access it.
    pub(super) fn create(&self) -> Result<(), QemuError> {
        let run = self.run();
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&run);
        made.map_err(QemuError::io(format!("make {}", run.display())))
    }

    /// Takes the lock of a start. Calls `on_wait` if another process holds it.
    pub(super) async fn lock(&self, on_wait: impl FnOnce()) -> Result<StartLock, QemuError> {
        let path = self.root.join("start.lock");
        let step = || QemuError::io(format!("lock {}", path.display()));
        let mut on_wait = Some(on_wait);
        loop {
            self.create()?;
            let file = state_file::open_lock(&path).map_err(step())?;
            let (file, waited) = match file.try_lock() {
                Ok(()) => (file, false),
                Err(TryLockError::WouldBlock) => {
                    if let Some(on_wait) = on_wait.take() {
                        on_wait();
                    }
                    let wait = move || file.lock().map(|()| file);
                    let waited = tokio::task::spawn_blocking(wait).await;
                    let file = waited.unwrap_or_else(|error| Err(error.into()));
                    (file.map_err(step())?, true)
                }
                Err(TryLockError::Error(error)) => return Err(step()(error)),
            };
            // Another process may have removed the folder and made it again
            // meanwhile.
            if !waited || is_file(&file, &path) {
                return Ok(StartLock { _file: file });
            }
        }
    }

    /// Returns the agent's token. Makes it at the first use.
    pub(super) fn token(&self) -> Result<[u8; TOKEN], QemuError> {
        let path = self.root.join("token");
        let step = || QemuError::io(format!("use {}", path.display()));
        if let Ok(bytes) = fs_err::read(&path)
            && let Ok(token) = bytes.try_into()
        {
            return Ok(token);
        }
        let mut token = [0; TOKEN];
        getrandom::fill(&mut token).map_err(|error| step()(error.into()))?;
        let mut options = std::fs::OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path);
        let written = file.and_then(|mut file| io::Write::write_all(&mut file, &token));
        written.map_err(step())?;
        Ok(token)
    }

    /// Returns the configured shape with the size that `vm resize` set.
    pub(super) fn resized(&self, shape: Shape) -> Shape {
        size::resized(&self.root.join("size.json"), shape)
    }

    pub(super) fn resize(&self, old: &Shape, new: &Shape) -> Result<(), QemuError> {
        if new.disk < old.disk && self.disk().exists() {
            return Err(QemuError::Shrink { now: old.disk });
        }
        self.create()?;
        let file = self.root.join("size.json");
        size::save(&file, new).map_err(QemuError::io(format!("write {}", file.display())))
    }

    /// Returns the file with the steps of this run's start.
    pub(super) fn steps(&self) -> PathBuf {
        self.run().join("steps.json")
    }

    pub(super) fn transport(&self) -> &'static str {
        match self.read("run/transport.json") {
            Some(Transport::Kernel(_)) => "vsock",
            Some(Transport::Hybrid) | None => "vsock by vhost-device-vsock",
        }
    }

    pub(super) fn logs(&self) -> Vec<PathBuf> {
        let names = ["vhost.log", "qemu.log", "serial.log"];
        let paths = names.map(|name| self.run().join(name));
        paths.into_iter().filter(|path| path.exists()).collect()
    }

    /// Returns the last three lines of a log of this run, or only the line with
    /// the kernel's panic if there is one.
    pub(super) fn tail(&self, name: &str) -> Vec<String> {
        let bytes = fs_err::read(self.run().join(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<_> = lines.map(str::to_owned).collect();
        if let Some(panic) = lines.iter().find(|line| line.contains("Kernel panic")) {
            return vec![panic.clone()];
        }
        lines[lines.len().saturating_sub(3)..].to_vec()
    }

    /// Whether the console shows a text.
    pub(super) fn console_says(&self, text: &str) -> bool {
        let bytes = fs_err::read(self.run().join("serial.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(text)
    }

    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let bytes = fs_err::read(self.root.join(name)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Replaces a file in one step.
    pub(super) fn write(&self, name: &str, value: &impl Serialize) -> Result<(), QemuError> {
        let path = self.root.join(name);
        state_file::write(&path, value).map_err(QemuError::io(format!("write {}", path.display())))
    }

    /// Removes the folder with its content. The folder itself goes last, so
    /// that a failed removal can be repeated.
    pub(super) fn remove(&self) -> Result<(), QemuError> {
        let removed = remove_all(&self.root);
        removed.map_err(QemuError::io(format!("remove {}", self.root.display())))
    }
}

/// Removes a folder with its content. A missing folder is not an error.
pub(super) fn remove_all(path: &Path) -> io::Result<()> {
    match fs_err::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether an open file is still the file at this path.
pub(super) fn is_file(file: &std::fs::File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    let ours = file.metadata().map(identity);
    let named = fs_err::metadata(path).map(identity);
    matches!((ours, named), (Ok(ours), Ok(named)) if ours == named)
}
