//! Adds a hint to errors of a full file system, and of a process that has
//! reached its limit of open files.

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use protocol::request::PruneRequest;
use protocol::{Failure, FailureKind};

use super::prune::freed_by;
use crate::store::{Space, Store};

/// The file in which the kernel lists the mounts: proc(5).
const MOUNTS: &str = "/proc/self/mountinfo";
/// The message of every failure of a full disk.
const FULL: &str = "the disk is full";
/// A build opens fewer files than this at a time.
const ENOUGH_DESCRIPTORS: u64 = 256;

/// Adds to a failure of a full disk which file system is full, and which
/// commands would free how much. The request has already removed its own
/// partial files.
pub(crate) fn explain(store: &Store, mut failure: Failure) -> Failure {
    if failure.kind == FailureKind::DiskFull
        && let Ok(space) = store.space()
    {
        // The message names the full disk. The failed operation becomes a
        // cause.
        let undone = std::mem::replace(&mut failure.message, FULL.to_owned());
        failure.causes.insert(0, undone);
        let remedies = remedies(store);
        failure.hint = Some(format!("{}; {remedies}", describe(store.root(), &space)));
    }
    let opens = matches!(
        failure.kind,
        FailureKind::Store | FailureKind::Container | FailureKind::Machine
    );
    if opens && failure.hint.is_none() {
        failure.hint = few_descriptors();
    }
    failure
}

/// A hint if the limit of open files is so low that it is a likely cause.
fn few_descriptors() -> Option<String> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    let few = limit < ENOUGH_DESCRIPTORS;
    few.then(|| format!("only {limit} files may be open at a time: `ulimit -n 1024` lets more be"))
}

fn describe(root: &Path, space: &Space) -> String {
    let mounts = fs_err::read(MOUNTS).unwrap_or_default();
    let place = match mount_point(&mounts, root) {
        Some((point, kind)) => format!("the {kind} file system at {}", point.display()),
        None => format!("the file system of {}", root.display()),
    };
    // If the file system has enough bytes and inodes, a quota is the cause.
    let scarce = if space.files_are_scarcer() {
        format!("{} of {} files left", space.free_files, space.all_files)
    } else {
        format!("{} of {} left", Size(space.free), Size(space.all))
    };
    format!("{place} has {scarce}")
}

fn remedies(store: &Store) -> String {
    let request = |unused_seconds| PruneRequest {
        dry_run: true,
        unused_seconds,
        keep_bytes: None,
    };
    let freed = |request| freed_by(store, &request).unwrap_or(0);
    let (some, all) = (freed(request(None)), freed(request(Some(0))));
    let mut remedies = Vec::new();
    if some > 0 {
        remedies.push(format!("`locald prune` frees {}", Size(some)));
    }
    if all > some {
        let size = Size(all);
        remedies.push(format!("`locald prune --unused-for 0d` frees {size}"));
    }
    remedies.push("`locald image rm` removes what you built".to_owned());
    remedies.push("LOCALD_HOME puts all of it elsewhere".to_owned());
    remedies.join(", ")
}

/// The mount that contains a path, and the type of its file system. Of several
/// mounts with the longest common prefix, the last one counts.
fn mount_point(mounts: &[u8], path: &Path) -> Option<(PathBuf, String)> {
    let mounts = mounts.split(|byte| *byte == b'\n').filter_map(|line| {
        let text = String::from_utf8_lossy(line);
        let (before, after) = text.split_once(" - ")?;
        let point = unescape(before.split(' ').nth(4)?);
        let kind = after.split(' ').next()?.to_owned();
        path.starts_with(&point).then_some((point, kind))
    });
    mounts.max_by_key(|(point, _)| point.components().count())
}

/// Decodes white space and backslashes, which the kernel writes in octal:
/// `\040`.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let octal = after.get(..3).and_then(|it| std::str::from_utf8(it).ok());
        let octal = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let (b'\\', Some(byte)) = (first, octal) {
            bytes.push(byte);
            rest = &after[3..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    std::ffi::OsStr::from_bytes(&bytes).into()
}

/// A number of bytes, as people read it.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 10_000_000_000 => write!(f, "{} GB", bytes / 1_000_000_000),
            bytes if bytes >= 1_000_000 => write!(f, "{} MB", bytes / 1_000_000),
            bytes => write!(f, "{} kB", bytes / 1000),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const MOUNTED: &[u8] = b"22 1 254:1 / / rw,noatime shared:1 - ext4 /dev/vda rw\n\
        30 22 0:26 / /home/a\\040b rw - btrfs /dev/vdb rw\n\
        31 22 0:27 / /home/a\\040b/x rw - tmpfs small rw\n";

    #[test]
    fn the_nearest_mount_is_named() {
        let at = |path: &str| mount_point(MOUNTED, path.as_ref()).unwrap();
        assert_eq!(at("/var/x"), ("/".into(), "ext4".to_owned()));
        assert_eq!(at("/home/a b/c").1, "btrfs");
        assert_eq!(
            at("/home/a b/x/y"),
            ("/home/a b/x".into(), "tmpfs".to_owned())
        );
        assert_eq!(at("/home/a b/xy").1, "btrfs");
    }

    #[test]
    fn what_is_scarcer_is_told() {
        let mut space = Space {
            free: 1_000_000,
            all: 60_000_000,
            free_files: 500,
            all_files: 1000,
        };
        let told = describe(Path::new("/nowhere"), &space);
        assert!(told.ends_with("has 1 MB of 60 MB left"), "{told}");
        space.free_files = 0;
        let told = describe(Path::new("/nowhere"), &space);
        assert!(told.ends_with("has 0 of 1000 files left"), "{told}");
    }
}
