//! Vendored packages whose sources were edited.
//!
//! Cargo takes what it has compiled of a package that is not the project's own
//! for fresh as long as the version is the same: it does not look at the files.
//! So what they are is written down, and what was compiled of a package that is
//! not the same any more is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::http::hex;
use crate::target::{self, Locked};

/// In the directory of each package that Cargo takes from a directory.
const CHECKSUMS: &str = ".cargo-checksum.json";

/// Digests by the directories of packages in the project.
type Digests = BTreeMap<PathBuf, String>;

#[derive(Deserialize)]
struct Manifest {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

/// Lets Cargo compile again what has changed since the last call. `known` is a
/// file of the cache.
pub(crate) fn forget_changed(app: &Path, known: &Path, target: &Path) -> io::Result<()> {
    let mut packages = Vec::new();
    find(app, &mut packages)?;
    let digests = packages.iter().map(|directory| {
        let relative = directory.strip_prefix(app).unwrap_or(directory);
        Ok((relative.to_owned(), digest(directory)?))
    });
    let digests: Digests = digests.collect::<io::Result<_>>()?;
    let before: Digests =
        serde_json::from_slice(&fs_err::read(known).unwrap_or_default()).unwrap_or_default();
    if digests == before {
        return Ok(());
    }
    let changed = digests
        .iter()
        .filter(|(directory, digest)| before.get(*directory) != Some(digest));
    let names = changed.filter_map(|(directory, _)| name(&app.join(directory)));
    forget(&names.collect(), target)?;
    fs_err::write(known, serde_json::to_vec(&digests)?)
}

/// Directories of vendored packages.
fn find(directory: &Path, packages: &mut Vec<PathBuf>) -> io::Result<()> {
    if directory.join(CHECKSUMS).is_file() {
        packages.push(directory.to_owned());
        return Ok(());
    }
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            find(&entry.path(), packages)?;
        }
    }
    Ok(())
}

/// Over the names, sizes and times of all files: a file of the source has
/// another time when its content is another.
fn digest(package: &Path) -> io::Result<String> {
    let mut lines = BTreeSet::new();
    describe(package, &mut lines)?;
    let mut hasher = Sha256::new();
    lines.iter().for_each(|line| hasher.update(line));
    Ok(hex(&hasher.finalize()))
}

fn describe(directory: &Path, lines: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            describe(&entry.path(), lines)?;
        } else {
            let time = metadata.modified()?.duration_since(UNIX_EPOCH);
            let time = time.unwrap_or_default().as_nanos();
            lines.insert(format!("{:?} {} {time}\n", entry.path(), metadata.len()));
        }
    }
    Ok(())
}

fn name(package: &Path) -> Option<String> {
    let text = fs_err::read_to_string(package.join("Cargo.toml")).ok()?;
    Some(toml::from_str::<Manifest>(&text).ok()?.package.name)
}

/// Removes the fingerprints of packages: Cargo compiles them, and what depends
/// on them.
fn forget(names: &BTreeSet<String>, target: &Path) -> io::Result<()> {
    for root in target::roots(target) {
        let _locked = Locked::wait(&root)?;
        for unit in target::units(&root) {
            if names.contains(&unit.package) && unit.fingerprint.is_dir() {
                fs_err::remove_dir_all(&unit.fingerprint)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_compiled_of_an_edited_package_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let file = |name: &str, text: &str| {
            let path = path(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(&path, text).unwrap();
            path
        };
        let mut sources = Vec::new();
        for name in ["edited-crate", "other"] {
            let manifest = format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\n");
            file(
                &format!("app/third-party/{name}-1.0.0/Cargo.toml"),
                &manifest,
            );
            file(&format!("app/third-party/{name}-1.0.0/{CHECKSUMS}"), "{}");
            sources.push(file(
                &format!("app/third-party/{name}-1.0.0/src/lib.rs"),
                "a",
            ));
        }
        let compiled = || {
            let of = |name: &str| {
                let old = format!("target/release/.fingerprint/{name}-00000000000000aa/lib");
                let new = format!("target/debug/build/{name}/00000000000000bb/fingerprint/lib");
                [file(&old, ""), file(&new, "")]
            };
            [of("edited-crate"), of("other")]
        };
        let forget = || forget_changed(&path("app"), &path("vendored.json"), &path("target"));
        forget().unwrap();
        let [edited, other] = compiled();
        forget().unwrap();
        let exist = |files: &[PathBuf]| files.iter().all(|path| path.exists());
        assert!(exist(&edited) && exist(&other));

        let source = fs_err::File::options().append(true).open(&sources[0]);
        let time = UNIX_EPOCH + Duration::from_secs(7);
        source.unwrap().file().set_modified(time).unwrap();
        forget().unwrap();
        assert!(!edited.iter().any(|path| path.exists()) && exist(&other));
    }
}
