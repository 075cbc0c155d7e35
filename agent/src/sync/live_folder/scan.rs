//! Scans the copy. Files that git ignores are private to the side that made
//! them, so the scan leaves them out.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use ignore::{DirEntry, WalkBuilder};
use protocol::folder::is_in_flux;

use super::reconcile::Version;
use crate::images::digest::Digest;

/// An entry of the copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// A directory with its permission bits.
    Directory { mode: u16 },
    /// A file. Its stamp changes whenever the file may have changed.
    File {
        mode: u16,
        stamp: u64,
        /// The time of its last change, in nanoseconds since the epoch.
        changed: i64,
    },
    /// A symbolic link with its target.
    Symlink { target: Vec<u8> },
}

/// All entries of the copy by path.
pub(super) type Scan = BTreeMap<Vec<u8>, Found>;

/// Scans the tree below `root`. `is_agreed` returns whether both sides have a
/// path. Skips entries that vanish during the scan.
pub(super) fn scan(root: &Path, is_agreed: impl Fn(&[u8]) -> bool) -> io::Result<Scan> {
    let mut scan = Scan::new();
    let mut walk = WalkBuilder::new(root);
    walk.hidden(false)
        .parents(false)
        .ignore(false)
        .git_global(false)
        .require_git(false)
        .follow_links(false)
        .filter_entry(|entry| !is_repository(entry));
    collect(root, &walk, &mut scan)?;
    let repository = root.join(".git");
    if let Some(kind) = look(&repository)? {
        scan.insert(b".git".to_vec(), kind);
    }
    // Checks the type, because a walk follows a link at its root.
    if matches!(scan.get(&b".git"[..]), Some(Found::Directory { .. })) {
        // The project's ignore rules do not apply to its repository.
        let mut walk = WalkBuilder::new(repository);
        walk.standard_filters(false)
            .follow_links(false)
            .filter_entry(|entry| entry.depth() == 0 || !is_in_flux(entry.file_name().as_bytes()));
        collect(root, &walk, &mut scan)?;
    }
    leave_out_ignored(root, is_agreed, &mut scan);
    Ok(scan)
}

fn is_repository(entry: &DirEntry) -> bool {
    entry.depth() == 1 && entry.file_name() == ".git"
}

fn collect(root: &Path, walk: &WalkBuilder, scan: &mut Scan) -> io::Result<()> {
    for found in walk.build() {
        let found = match found {
            Ok(found) => found,
            Err(error) if is_gone(error.io_error()) => continue,
            Err(error) => return Err(io::Error::other(error)),
        };
        let Ok(relative) = found.path().strip_prefix(root) else {
            continue;
        };
        if relative.as_os_str().is_empty() {
            continue;
        }
        if let Some(kind) = look(found.path())? {
            scan.insert(relative.as_os_str().as_bytes().to_vec(), kind);
        }
    }
    Ok(())
}

/// The entry at a path; absent if there is none, or if its type is not
/// transferred.
pub(super) fn look(path: &Path) -> io::Result<Option<Found>> {
    let metadata = match fs_err::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if is_gone(Some(&error)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mode = u16::try_from(metadata.permissions().mode() & 0o777).unwrap_or_default();
    let kind = metadata.file_type();
    Ok(if kind.is_dir() {
        Some(Found::directory(mode))
    } else if kind.is_symlink() {
        fs_err::read_link(path).ok().map(|target| Found::Symlink {
            target: target.as_os_str().as_bytes().to_vec(),
        })
    } else if kind.is_file() {
        Some(Found::File {
            mode,
            stamp: stamp(&metadata),
            changed: metadata.ctime() * 1_000_000_000 + metadata.ctime_nsec(),
        })
    } else {
        None
    })
}

impl Found {
    /// A directory. Its owner always has all permissions.
    pub(super) const fn directory(mode: u16) -> Self {
        Self::Directory { mode: mode | 0o700 }
    }

    /// Converts it to a version; absent for a file without its digest.
    pub(super) fn version(&self, content: Option<Digest>) -> Option<Version> {
        Some(match self {
            Self::Directory { mode } => Version::Directory { mode: *mode },
            Self::Symlink { target } => Version::Symlink {
                target: target.clone(),
            },
            Self::File { mode, .. } => Version::File {
                digest: content?,
                mode: *mode,
            },
        })
    }
}

fn is_gone(error: Option<&io::Error>) -> bool {
    error.is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        )
    })
}

fn stamp(metadata: &Metadata) -> u64 {
    let mut hasher = DefaultHasher::new();
    let times = (metadata.mtime(), metadata.mtime_nsec());
    let change = (metadata.ctime(), metadata.ctime_nsec());
    (metadata.ino(), metadata.size(), times, change).hash(&mut hasher);
    hasher.finish() | 1
}

/// Leaves out directories that contain only ignored files. They are private to
/// the agent: the host has removed them, or never had them.
fn leave_out_ignored(root: &Path, is_agreed: impl Fn(&[u8]) -> bool, scan: &mut Scan) {
    let mut filled = std::collections::HashSet::new();
    let husk = |path: &[u8]| {
        let path = root.join(std::ffi::OsStr::from_bytes(path));
        let entries = fs_err::read_dir(path);
        entries.is_ok_and(|mut entries| entries.next().is_some())
    };
    let mut husks = Vec::new();
    // In reverse order, children come before their parents.
    for (path, found) in scan.iter().rev() {
        let is_husk = matches!(found, Found::Directory { .. })
            && !filled.contains(path)
            && !is_agreed(path)
            && husk(path);
        if is_husk {
            husks.push(path.clone());
        } else if let Some(parent) = super::parent(path) {
            filled.insert(parent.to_vec());
        }
    }
    for path in husks {
        scan.remove(&path);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn what_is_ignored_stays_and_the_repository_travels() {
        let root = tempfile::tempdir().unwrap();
        for file in [
            ".git/config",
            ".git/index.lock",
            ".git/objects/tmp_obj_x",
            ".gitignore",
            "src/a",
            "target/x",
            "gone/target/y",
            "kept/target/y",
        ] {
            let path = root.path().join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "").unwrap();
        }
        fs_err::write(root.path().join(".gitignore"), "target\n.*\n!.gitignore\n").unwrap();
        fs_err::create_dir(root.path().join("empty")).unwrap();
        let scan = scan(root.path(), |path| path == b"kept").unwrap();
        let names: Vec<_> = scan.keys().map(|it| String::from_utf8_lossy(it)).collect();
        let expected = [
            ".git",
            ".git/config",
            ".gitignore",
            "empty",
            "kept",
            "src",
            "src/a",
        ];
        assert_eq!(names, expected);
    }
}
