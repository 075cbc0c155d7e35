//! A distribution: a root file system, and perhaps an instance of it, in
//! namespaces of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// An instance is up in this time.
const START: Duration = Duration::from_secs(30);

/// Makes the root file system the root, as WSL's own init does; then it only
/// waits for the end of its input: that of the server. Nothing of the outside stays visible.
const INIT: &str = r#"
set -e
mount --make-rprivate /
mount --bind "$0" "$0"
cd "$0"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs -o mode=755 run run
cp /etc/resolv.conf etc/resolv.conf
cp /etc/hosts etc/hosts
mkdir -p mnt/.outside
pivot_root . mnt/.outside
exec /bin/busybox chroot . /bin/busybox sh -c 'umount -l /mnt/.outside && touch /run/up && exec /bin/busybox cat >/dev/null'
"#;

#[derive(Debug)]
pub(crate) struct Distribution {
    /// The number of its disk.
    pub(crate) disk: String,
    /// Where the file of the disk is, for `wsl.exe`.
    pub(crate) place: String,
    root: PathBuf,
    instance: Option<Instance>,
}

#[derive(Debug)]
struct Instance {
    unshare: Child,
    /// Process 1 of the instance.
    init: u32,
    programs: usize,
    /// Counts programs, so that an old wish to end it is recognised.
    generation: u64,
}

impl Distribution {
    pub(crate) fn new(disk: String, place: String, root: PathBuf) -> Self {
        Self {
            disk,
            place,
            root,
            instance: None,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.instance.is_some()
    }

    /// A program of the instance begins; returns process 1.
    pub(crate) fn enter(&mut self) -> io::Result<u32> {
        if self.instance.is_none() {
            self.instance = Some(Instance::start(&self.root)?);
        }
        let instance = self.instance.as_mut().ok_or(io::ErrorKind::NotFound)?;
        instance.programs += 1;
        instance.generation += 1;
        Ok(instance.init)
    }

    /// A program has ended; when it was the last one, returns what
    /// [`end_if_idle`](Self::end_if_idle) wants to know later.
    pub(crate) fn leave(&mut self) -> Option<u64> {
        let instance = self.instance.as_mut()?;
        instance.programs = instance.programs.saturating_sub(1);
        (instance.programs == 0).then_some(instance.generation)
    }

    pub(crate) fn end_if_idle(&mut self, generation: u64) {
        let idle = |it: &Instance| it.programs == 0 && it.generation == generation;
        if self.instance.as_ref().is_some_and(idle) {
            self.end();
        }
    }

    /// Ends the instance and all that runs in it.
    pub(crate) fn end(&mut self) {
        self.instance = None;
    }
}

impl Instance {
    fn start(root: &Path) -> io::Result<Self> {
        let mut unshare = Command::new("unshare")
            .args([
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                INIT,
            ])
            .arg(root)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let started = Instant::now();
        loop {
            if let Some(init) = child_of(unshare.id())
                && fs::exists(format!("/proc/{init}/root/run/up"))?
            {
                return Ok(Self {
                    unshare,
                    init,
                    programs: 0,
                    generation: 0,
                });
            }
            if let Some(status) = unshare.try_wait()? {
                return Err(io::Error::other(format!("the instance ended: {status}")));
            }
            if started.elapsed() > START {
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        // Process 1 is another's child by now: its end is seen here.
        let gone = format!("/proc/{}/root/run/up", self.init);
        let since = Instant::now();
        while fs::exists(&gone).unwrap_or(false) && since.elapsed() < START {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn child_of(process: u32) -> Option<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    let children = fs::read_to_string(path).ok()?;
    children.split_whitespace().next()?.parse().ok()
}
