//! Reads and locks Cargo's target directory. A shell's Cargo may work in it at
//! the same time, so this module uses Cargo's own locks.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::cargo::{hash, is_hash};
use crate::output;

/// The directory in which older Cargos keep all fingerprints.
const FINGERPRINTS: &str = ".fingerprint";
/// The lock file of a directory such as `target/release`. Cargo holds it during
/// a build.
const LOCK: &str = ".cargo-lock";

/// A lock on an output directory. While it exists, no Cargo works there.
#[derive(Debug)]
pub(crate) struct Locked {
    _file: File,
}

impl Locked {
    /// Waits until no other Cargo works in the directory.
    pub(crate) fn wait(root: &Path) -> io::Result<Self> {
        let file = open(root)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                output::detail("waiting for another Cargo in the cache, of a shell");
                file.lock()?;
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(Self { _file: file })
    }

    /// Takes the lock; absent if another Cargo works in the directory.
    pub(crate) fn try_now(root: &Path) -> Option<Self> {
        let file = open(root).ok()?;
        file.try_lock().ok()?;
        Some(Self { _file: file })
    }
}

fn open(root: &Path) -> io::Result<File> {
    let file = fs_err::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(root.join(LOCK))?;
    Ok(file.into_file())
}

/// The output directories of all profiles and all target platforms.
pub(crate) fn roots(target: &Path) -> Vec<PathBuf> {
    let mut roots = Vec::new();
    for path in list(target) {
        if is_root(&path) {
            roots.push(path);
        } else {
            roots.extend(list(&path).into_iter().filter(|path| is_root(path)));
        }
    }
    roots.sort_unstable();
    roots
}

fn is_root(path: &Path) -> bool {
    [FINGERPRINTS, "build"]
        .iter()
        .any(|it| path.join(it).is_dir())
}

/// The files of one compilation, or of one run of a build script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) package: String,
    pub(crate) hash: String,
    /// The directory by which Cargo decides whether the unit is fresh.
    pub(crate) fingerprint: PathBuf,
    /// The unit's own directory with all its files. Only newer Cargos have one.
    /// Older ones have one directory for all fingerprints and one for all
    /// files.
    pub(crate) own: Option<PathBuf>,
}

/// All units of an output directory.
pub(crate) fn units(root: &Path) -> Vec<Unit> {
    let mut units = Vec::new();
    for fingerprint in list(&root.join(FINGERPRINTS)) {
        let name = name(&fingerprint);
        if let Some(hash) = hash(name) {
            units.push(Unit {
                package: name.trim_end_matches(hash).trim_end_matches('-').to_owned(),
                hash: hash.to_owned(),
                fingerprint,
                own: None,
            });
        }
    }
    for package in list(&root.join("build")) {
        for own in list(&package) {
            if is_hash(name(&own)) {
                units.push(Unit {
                    package: name(&package).to_owned(),
                    hash: name(&own).to_owned(),
                    fingerprint: own.join("fingerprint"),
                    own: Some(own),
                });
            }
        }
    }
    units
}

fn name(path: &Path) -> &str {
    let name = path.file_name().and_then(|name| name.to_str());
    name.unwrap_or_default()
}

/// The entries of a directory; empty if it cannot be read.
pub(crate) fn entries(directory: &Path) -> Vec<std::fs::DirEntry> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries.flatten().collect()
}

/// The paths of the entries of a directory.
pub(crate) fn list(directory: &Path) -> Vec<PathBuf> {
    let entries = entries(directory).into_iter();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn units_of_old_and_new_cargos_are_found() {
        let target = tempfile::tempdir().unwrap();
        let (old, new) = ("00000000000000aa", "00000000000000bb");
        let path = |path: &str| target.path().join(path);
        let directories = [
            format!("release/.fingerprint/serde-core-{old}"),
            format!("release/build/serde-core-{old}/out"),
            format!("x86_64-unknown-linux-musl/debug/build/serde/{new}/out"),
        ];
        for directory in &directories {
            fs_err::create_dir_all(path(directory)).unwrap();
        }
        let roots = roots(target.path());
        let expected = ["release", "x86_64-unknown-linux-musl/debug"];
        assert_eq!(roots, expected.map(path));
        assert_eq!(
            units(&roots[0]),
            [Unit {
                package: "serde-core".to_owned(),
                hash: old.to_owned(),
                fingerprint: path(&directories[0]),
                own: None,
            }]
        );
        let own = roots[1].join("build/serde").join(new);
        assert_eq!(
            units(&roots[1]),
            [Unit {
                package: "serde".to_owned(),
                hash: new.to_owned(),
                fingerprint: own.join("fingerprint"),
                own: Some(own),
            }]
        );
    }
}
