//! Mounts file systems, loads kernel modules, and reads the settings of a
//! guest.

use std::io::{self, Write as _};
use std::path::Path;

use rustix::mount::{MountFlags, mount, mount_move};

use super::{Failed, Step};
use crate::kernel::namespace::cgroup::CGROUP;
use crate::kernel::namespace::share;

/// The mount point of the file system that becomes `/`. The initramfs cannot
/// stay `/`: it has no parent, so containers could not leave it.
pub(super) const NEW_ROOT: &str = "/new";
/// The file with the host's token.
pub(super) const TOKEN: &str = "/run/locald/token";
/// The certificates that the host trusts.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The directory of the modules. The file `order` in it lists them.
const MODULES: &str = "/modules";
/// The directory in which QEMU's firmware configuration shows the host's
/// settings.
const SETTINGS: &str = "/sys/firmware/qemu_fw_cfg/by_name/opt/locald";
/// The files of the initramfs that stay.
const KEPT: [&str; 2] = ["init", "bin/busybox"];
/// The kernel's file systems and their mount points.
const KERNEL: [(&str, &str); 3] = [("proc", "proc"), ("sysfs", "sys"), ("devtmpfs", "dev")];

/// Settings that stop periodic work of an idle kernel. By default it compacts
/// memory in advance and sums up its counters several times a second. That
/// keeps the host's processor awake.
const QUIET: [(&str, &str); 2] = [
    ("/proc/sys/vm/compaction_proactiveness", "0"),
    ("/proc/sys/vm/stat_interval", "60"),
];

/// Writes a line to the console.
pub(super) fn say(text: &str) {
    let console = fs_err::OpenOptions::new().write(true).open("/dev/console");
    if let Ok(mut console) = console {
        let _ = writeln!(console, "locald: {text}");
    }
}

pub(super) fn mount_kernel_file_systems() -> Result<(), Failed> {
    for (kind, target) in KERNEL {
        let target = format!("/{target}");
        attach(kind, Path::new(&target), "")?;
    }
    Ok(())
}

/// Reduces the periodic work of an idle machine, as far as its kernel permits.
pub(super) fn quieten() {
    for (path, value) in QUIET {
        if let Err(error) = fs_err::write(path, value) {
            say(&error.to_string());
        }
    }
}

/// Makes a directory and mounts a file system on it.
fn attach(kind: &str, target: &Path, options: &str) -> Result<(), Failed> {
    let step = || format!("mount {kind} at {}", target.display());
    fs_err::create_dir_all(target).step(step)?;
    let options = std::ffi::CString::new(options).unwrap_or_default();
    let flags = MountFlags::NOSUID;
    mount(kind, target, kind, flags, Some(options.as_c_str())).step(step)
}

pub(super) fn load_modules() -> Result<(), Failed> {
    let order = format!("{MODULES}/order");
    let names = fs_err::read_to_string(&order).step(|| format!("read {order}"))?;
    for name in names.lines() {
        let path = format!("{MODULES}/{name}");
        let step = || format!("load {path}");
        let file = fs_err::File::open(&path).step(step)?;
        match rustix::system::finit_module(&file, c"", 0) {
            // The module may be built into the kernel.
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error).step(step),
        }
    }
    Ok(())
}

/// A setting from the host.
pub(super) fn setting(name: &str) -> Option<String> {
    let text = fs_err::read_to_string(format!("{SETTINGS}/{name}/raw")).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Makes the file system that becomes `/`, in memory.
pub(super) fn make_root() -> Result<(), Failed> {
    let root = Path::new(NEW_ROOT);
    attach("tmpfs", root, "mode=755")?;
    for directory in [
        "bin",
        "etc/ssl/certs",
        "root",
        "run/locald",
        "var/lib/locald",
    ] {
        let path = root.join(directory);
        fs_err::create_dir_all(&path).step(|| format!("make {}", path.display()))?;
    }
    let copy = |from: &Path, to: &Path| fs_err::copy(from, to).map(drop);
    for file in KEPT {
        let from = Path::new("/").join(file);
        copy(&from, &root.join(file)).step(|| format!("keep {}", from.display()))?;
    }
    let write = |path: &str, content: &[u8]| -> Result<(), Failed> {
        let path = root.join(path.trim_start_matches('/'));
        fs_err::write(&path, content).step(|| format!("write {}", path.display()))
    };
    write("etc/hosts", b"127.0.0.1 localhost\n::1 localhost\n")?;
    write("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")?;
    write("etc/group", b"root:x:0:\n")?;
    let token = fs_err::read(format!("{SETTINGS}/token/raw"));
    let token = token.step(|| "read the host's token".to_owned())?;
    write(TOKEN, &token)?;
    match setting("certificates") {
        Some(certificates) => write(CERTIFICATES, certificates.as_bytes()),
        None => Ok(()),
    }
}

/// Makes the new file system `/` and frees the memory of the old one.
pub(super) fn enter_root() -> Result<(), Failed> {
    let root = Path::new(NEW_ROOT);
    for (_, target) in KERNEL {
        let new = root.join(target);
        let step = || format!("move /{target}");
        fs_err::create_dir_all(&new).step(step)?;
        mount_move(format!("/{target}"), &new).step(step)?;
    }
    let empty = ["modules", "bin", "sbin", "lib", "lib64", "usr", "init"];
    for name in empty {
        let path = Path::new("/").join(name);
        let removed = match fs_err::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => fs_err::remove_dir_all(&path),
            Ok(_) => fs_err::remove_file(&path),
            Err(_) => Ok(()),
        };
        removed.step(|| format!("free {}", path.display()))?;
    }
    let step = || "enter the new root".to_owned();
    std::env::set_current_dir(root).step(step)?;
    mount_move(".", "/").step(step)?;
    rustix::process::chroot(".").step(step)?;
    std::env::set_current_dir("/").step(step)?;
    attach("devpts", Path::new("/dev/pts"), "mode=620,ptmxmode=666")?;
    attach("tmpfs", Path::new("/dev/shm"), "mode=1777")?;
    attach("tmpfs", Path::new("/tmp"), "mode=1777")?;
    rustix::system::sethostname(b"locald").step(|| "set the host name".to_owned())?;
    link_commands().step(|| "link busybox".to_owned())
}

/// Limits the memory of the agent and its containers, so that the kernel keeps
/// some. The limit applies to all processes that start after this call.
pub(super) fn limit_memory() -> Result<(), Failed> {
    attach("cgroup2", Path::new(CGROUP), "")?;
    let limited = share::move_into_child(Path::new(CGROUP));
    limited
        .map(drop)
        .step(|| "limit the agent's memory".to_owned())
}

/// Makes a link for each command of busybox.
fn link_commands() -> io::Result<()> {
    let output = std::process::Command::new("/bin/busybox")
        .arg("--list")
        .output()?;
    for name in String::from_utf8_lossy(&output.stdout).lines() {
        let link = Path::new("/bin").join(name);
        if name != "busybox" {
            std::os::unix::fs::symlink("busybox", link)?;
        }
    }
    Ok(())
}
