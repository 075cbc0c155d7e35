//! Changes files in the directory of a source tree, without following links.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::source::{Entry, EntryKind, MODE_BY_CONTENT};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::SourceError;
use super::times::Times;
use crate::images::digest::Digest;

const RESOLVE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);
const PARENT: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The permission bits that a file may get. The set-id bits are missing,
/// because they would belong to another user.
const PERMISSIONS: u32 = 0o777;

/// The number of first bytes that identify a program.
const START: usize = 4;

type Parent = Option<(Vec<u8>, Arc<OwnedFd>)>;

pub(crate) struct TreeDir {
    root: OwnedFd,
    /// The directory of the last path. Listings name siblings together.
    parent: Mutex<Parent>,
}

/// A file that is being received.
pub(super) struct NewFile {
    file: File,
    path: String,
    /// The mode on the host.
    mode: u16,
    modified: i64,
    /// The first bytes of the file.
    start: Vec<u8>,
    /// The time of the replaced file.
    before: Option<Timespec>,
}

/// The modification time of a file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Time {
    /// That of the replaced file, because the content is the same.
    Before,
    /// A new time.
    New(Times),
}

impl Time {
    /// The time for a file, by its old and its new digest.
    pub(super) fn of(digest: Digest, before: Option<Digest>, times: Times) -> Self {
        if before == Some(digest) {
            Self::Before
        } else {
            Self::New(times)
        }
    }
}

impl TreeDir {
    /// Opens the same tree for another thread.
    pub(super) fn again(&self) -> Result<Self, SourceError> {
        let root = self.root.try_clone();
        let root = root.map_err(|source| super::write_error(Path::new("."), source))?;
        let parent = Mutex::default();
        Ok(Self { root, parent })
    }

    pub(crate) fn open(path: &Path) -> Result<Self, SourceError> {
        let root = rustix::fs::open(path, PARENT, Mode::empty())
            .map_err(|errno| super::write_error(path, errno.into()))?;
        let parent = Mutex::default();
        Ok(Self { root, parent })
    }

    /// Removes a path of a listing. Fails for a directory that is not empty.
    pub(super) fn remove(&self, path: &[u8]) -> Result<(), SourceError> {
        match self.unlink(path) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => Ok(()),
            Err(errno) => Err(failed(path, errno)),
        }
    }

    /// Removes a path. Fails for a directory that is not empty.
    pub(crate) fn unlink(&self, path: &[u8]) -> Result<(), Errno> {
        self.refresh();
        self.at(path, |parent, name| {
            match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
                Err(Errno::ISDIR) => rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR),
                removed => removed,
            }
        })
    }

    pub(super) fn directory(&self, path: &[u8], mode: u16) -> Result<(), SourceError> {
        let done = self.put_directory(path, mode);
        done.map_err(|errno| failed(path, errno))
    }

    /// Makes a directory, or sets the mode of an existing one.
    pub(crate) fn put_directory(&self, path: &[u8], mode: u16) -> Result<(), Errno> {
        let mode = permissions(mode);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.at(path, |parent, name| {
            match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            let directory = rustix::fs::openat(parent, name, flags, Mode::empty())?;
            // Sets the mode explicitly, because the umask changes it.
            rustix::fs::fchmod(directory, mode)
        })
    }

    pub(crate) fn symlink(&self, path: &[u8], target: &[u8]) -> Result<(), SourceError> {
        let target = OsStr::from_bytes(target);
        self.at(path, |parent, name| {
            match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
            rustix::fs::symlinkat(target, parent, name)
        })
        .map_err(|errno| failed(path, errno))
    }

    pub(super) fn is_directory(&self, path: &[u8]) -> bool {
        rustix::fs::openat2(&self.root, path, PARENT, Mode::empty(), RESOLVE).is_ok()
    }

    /// The target of a symbolic link.
    pub(super) fn target(&self, path: &[u8]) -> Option<Vec<u8>> {
        let read =
            |parent: &OwnedFd, name: &OsStr| rustix::fs::readlinkat(parent, name, Vec::new());
        Some(self.at(path, read).ok()?.into_bytes())
    }

    /// Opens a regular file.
    pub(crate) fn read(&self, path: &[u8]) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat2(&self.root, path, flags, Mode::empty(), RESOLVE)?;
        let file = File::from(file);
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    /// Starts a new file, which replaces an old one at the end. It does not
    /// overwrite the old one, because a running container may use it.
    pub(super) fn file(&self, entry: &Entry) -> Result<NewFile, SourceError> {
        let EntryKind::File { mode, modified, .. } = entry.kind else {
            return Err(SourceError::Protocol(
                "content for something that is not a file",
            ));
        };
        let path = &entry.path;
        let first_mode = file_mode(mode, &[]);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut before = None;
        let opened = self.at(path, |parent, name| {
            let open = || rustix::fs::openat(parent, name, flags, first_mode);
            match open() {
                Err(Errno::EXIST) => {}
                opened => return opened,
            }
            let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
            before = Some(time_of(&stat));
            rustix::fs::unlinkat(parent, name, AtFlags::empty())?;
            open()
        });
        let file = opened.map_err(|errno| failed(path, errno))?;
        Ok(NewFile {
            file: File::from(file),
            path: String::from_utf8_lossy(path).into_owned(),
            mode,
            modified,
            start: Vec::new(),
            before,
        })
    }

    fn cached(&self) -> MutexGuard<'_, Parent> {
        self.parent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the open directory, because other processes may have moved it.
    pub(crate) fn refresh(&self) {
        *self.cached() = None;
    }

    /// Calls `act` with the parent of a path and its last component. Follows no
    /// link to the parent.
    pub(crate) fn at<T>(
        &self,
        path: &[u8],
        act: impl FnOnce(&OwnedFd, &OsStr) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b"."[..], path),
        };
        let name = OsStr::from_bytes(name);
        let cached = self.cached().clone();
        if let Some((cached, directory)) = cached
            && cached == parent
        {
            return act(&directory, name);
        }
        let directory = rustix::fs::openat2(
            self.root.as_fd(),
            OsStr::from_bytes(parent),
            PARENT,
            Mode::empty(),
            RESOLVE,
        )?;
        let directory = Arc::new(directory);
        *self.cached() = Some((parent.to_vec(), Arc::clone(&directory)));
        act(&directory, name)
    }
}

impl NewFile {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        let missing = START.saturating_sub(self.start.len()).min(bytes.len());
        self.start.extend_from_slice(&bytes[..missing]);
        self.file
            .write_all(bytes)
            .map_err(|source| self.failed(source))
    }

    /// Sets the mode and the time of the file.
    pub(super) fn finish(self, time: Time) -> Result<(), SourceError> {
        let mode = file_mode(self.mode, &self.start);
        let time = match time {
            Time::Before => self.before,
            Time::New(times) => times.of_host(self.modified).map(timespec),
        };
        // Reads the mode first, because the umask may have changed it. A read
        // is much cheaper than a change, which goes through the journal of the
        // file system.
        let set_mode = |is: rustix::fs::Stat| {
            if Mode::from_raw_mode(is.st_mode) == mode {
                return Ok(());
            }
            rustix::fs::fchmod(&self.file, mode)
        };
        let set_time = |time: Timespec| {
            let times = Timestamps {
                last_access: time,
                last_modification: time,
            };
            rustix::fs::futimens(&self.file, &times)
        };
        rustix::fs::fstat(&self.file)
            .and_then(set_mode)
            .and_then(|()| time.map_or(Ok(()), set_time))
            .map_err(|errno| self.failed(errno.into()))
    }

    fn failed(&self, source: io::Error) -> SourceError {
        SourceError::Write {
            path: self.path.clone(),
            source,
        }
    }
}

fn timespec(time: SystemTime) -> Timespec {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timespec {
        tv_sec: i64::try_from(since.as_secs()).unwrap_or_default(),
        tv_nsec: since.subsec_nanos().into(),
    }
}

fn permissions(mode: u16) -> Mode {
    Mode::from_raw_mode(u32::from(mode) & PERMISSIONS)
}

/// The mode of a file. If the host has no modes, the first bytes decide whether
/// it is executable.
fn file_mode(mode: u16, start: &[u8]) -> Mode {
    permissions(match mode {
        MODE_BY_CONTENT if is_program(start) => 0o755,
        MODE_BY_CONTENT => 0o644,
        mode => mode,
    })
}

fn is_program(start: &[u8]) -> bool {
    start.starts_with(b"#!") || start.starts_with(b"\x7fELF")
}

fn time_of(stat: &rustix::fs::Stat) -> Timespec {
    Timespec {
        tv_sec: stat.st_mtime,
        tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or_default(),
    }
}

fn failed(path: &[u8], errno: Errno) -> SourceError {
    SourceError::Write {
        path: String::from_utf8_lossy(path).into_owned(),
        source: errno.into(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn files_of_systems_without_modes_are_what_their_content_says() {
        let root = tempfile::tempdir().unwrap();
        let tree = TreeDir::open(root.path()).unwrap();
        let cases: [(&str, &[&[u8]], u16, u32); 5] = [
            ("script", &[b"#", b"!/bin/sh"], MODE_BY_CONTENT, 0o755),
            ("program", &[b"\x7fELF\x02"], MODE_BY_CONTENT, 0o755),
            ("text", &[b"# !"], MODE_BY_CONTENT, 0o644),
            ("empty", &[], MODE_BY_CONTENT, 0o644),
            ("known", &[b"#!"], 0o600, 0o600),
        ];
        for (name, parts, mode, expected) in cases {
            let entry = Entry {
                path: name.into(),
                kind: EntryKind::File {
                    size: 0,
                    mode,
                    modified: 0,
                    stamp: 0,
                },
            };
            let mut file = tree.file(&entry).unwrap();
            for part in parts {
                file.write(part).unwrap();
            }
            file.finish(Time::Before).unwrap();
            let metadata = fs_err::metadata(root.path().join(name)).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o7777, expected, "{name}");
        }
    }
}
