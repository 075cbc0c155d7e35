//! Saves and restores times of files, for a cache that does not keep them.
//!
//! Cargo compares times. In a cached layer all times are equal, and in the
//! source they may be equal, too. Then Cargo would never find a newer file. So
//! this module saves the times of the target directory. It also saves when each
//! content of a source file was first seen.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const FILE: &str = "times.json";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Times {
    /// Nanoseconds since the epoch, by the path in the cache.
    target: BTreeMap<PathBuf, u64>,
    /// Nanoseconds since the epoch and SHA-256 digest, by the path in the
    /// source.
    source: BTreeMap<PathBuf, (u64, [u8; 32])>,
}

/// Restores the times of files. A source file with new content gets the current
/// time.
pub(crate) fn restore(cache: &Path, app: &Path) -> io::Result<()> {
    let known = fs_err::read(cache.join(FILE)).unwrap_or_default();
    let known: Times = serde_json::from_slice(&known).unwrap_or_default();
    for (path, time) in &known.target {
        set(&cache.join(path), *time)?;
    }
    let now = nanoseconds(SystemTime::now());
    files(app, &mut |path| {
        let relative = path.strip_prefix(app).unwrap_or(path);
        let time = match known.source.get(relative) {
            Some((time, digest)) if *digest == content(path)? => *time,
            _ => now,
        };
        set(path, time)
    })
}

/// Saves the times of all files.
pub(crate) fn save(cache: &Path, app: &Path) -> io::Result<()> {
    let mut times = Times::default();
    files(&cache.join("target"), &mut |path| {
        let relative = path.strip_prefix(cache).unwrap_or(path).to_owned();
        times.target.insert(relative, modified(path)?);
        Ok(())
    })?;
    files(app, &mut |path| {
        let relative = path.strip_prefix(app).unwrap_or(path).to_owned();
        times
            .source
            .insert(relative, (modified(path)?, content(path)?));
        Ok(())
    })?;
    fs_err::write(cache.join(FILE), serde_json::to_vec(&times)?)
}

/// Calls `act` for each regular file below a directory. Follows no links.
fn files(directory: &Path, act: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    let entries = match fs_err::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            files(&entry.path(), act)?;
        } else if kind.is_file() {
            act(&entry.path())?;
        }
    }
    Ok(())
}

fn content(path: &Path) -> io::Result<[u8; 32]> {
    Ok(Sha256::digest(fs_err::read(path)?).into())
}

fn modified(path: &Path) -> io::Result<u64> {
    Ok(nanoseconds(fs_err::metadata(path)?.modified()?))
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Sets the time of a file. Ignores a missing file.
fn set(path: &Path, time: u64) -> io::Result<()> {
    let time = UNIX_EPOCH + Duration::from_nanos(time);
    let set = std::fs::File::open(path).and_then(|file| file.set_modified(time));
    match set {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        set => set,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn only_what_changed_is_newer_than_what_was_made_from_it() {
        let (cache, app) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (cache, app) = (cache.path(), app.path());
        let (made, same, other) = (
            cache.join("target/made"),
            app.join("same"),
            app.join("other"),
        );
        fs_err::create_dir(cache.join("target")).unwrap();
        for path in [&same, &other, &made] {
            fs_err::write(path, "content").unwrap();
        }
        restore(cache, app).unwrap();
        set(&made, modified(&same).unwrap() + 1).unwrap();
        save(cache, app).unwrap();
        // The cache and the upload lose all times, and one file changes.
        fs_err::write(&other, "changed").unwrap();
        for path in [&same, &other, &made] {
            set(path, 315_532_801_000_000_000).unwrap();
        }
        restore(cache, app).unwrap();
        let time = |path: &Path| modified(path).unwrap();
        assert!(time(&same) < time(&made));
        assert!(time(&other) > time(&made));
    }
}
