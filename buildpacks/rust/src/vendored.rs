//! Detects edits in packages of the project's own vendor directory or local
//! registry.
//!
//! For a package outside the project, Cargo treats a compiled unit as fresh as
//! long as the version is the same. It does not compare the files. So this
//! module saves digests of these packages. If a digest changes, it removes the
//! unpacked and the compiled files of the package.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::http::hex;
use crate::target::{self, Locked};

/// A file that Cargo requires in each package of a vendor directory.
const CHECKSUMS: &str = ".cargo-checksum.json";

/// The extension of a package in a local registry.
const ARCHIVE: &str = ".crate";

/// Digests by the path of a package's directory or archive in the project.
type Digests = BTreeMap<PathBuf, String>;

#[derive(Deserialize)]
struct Manifest {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

/// Makes Cargo compile the packages that have changed since the last call.
/// `known` is a file of the cache.
pub(crate) fn forget_changed(
    app: &Path,
    known: &Path,
    target: &Path,
    cargo_home: &Path,
) -> io::Result<()> {
    let mut packages = Vec::new();
    find(app, &mut packages)?;
    let digests = packages.iter().map(|package| {
        let relative = package.strip_prefix(app).unwrap_or(package);
        Ok((relative.to_owned(), digest(package)?))
    });
    let digests: Digests = digests.collect::<io::Result<_>>()?;
    let before: Digests =
        serde_json::from_slice(&fs_err::read(known).unwrap_or_default()).unwrap_or_default();
    if digests == before {
        return Ok(());
    }
    let is_changed = |(path, digest): &(&PathBuf, &String)| before.get(*path) != Some(digest);
    let changed = digests.iter().filter(is_changed);
    let changed: Vec<PathBuf> = changed.map(|(path, _)| app.join(path)).collect();
    for stem in changed.iter().filter_map(|path| archive(path)) {
        forget_unpacked(stem, cargo_home)?;
    }
    let names = changed.iter().filter_map(|path| name(path));
    forget(&names.collect(), target)?;
    fs_err::write(known, serde_json::to_vec(&digests)?)
}

/// Finds directories of vendored packages, and archives beside an index.
fn find(directory: &Path, packages: &mut Vec<PathBuf>) -> io::Result<()> {
    if directory.join(CHECKSUMS).is_file() {
        packages.push(directory.to_owned());
        return Ok(());
    }
    for entry in fs_err::read_dir(directory)? {
        let path = entry?.path();
        let metadata = fs_err::symlink_metadata(&path)?;
        if metadata.is_dir() {
            find(&path, packages)?;
        } else if archive(&path).is_some() && directory.join("index").is_dir() {
            packages.push(path);
        }
    }
    Ok(())
}

/// The `NAME-VERSION` of an archive.
fn archive(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_suffix(ARCHIVE)
}

/// The digest over the names, sizes and times of all files of a package. The
/// time of a source file changes with its content.
fn digest(package: &Path) -> io::Result<String> {
    let mut lines = BTreeSet::new();
    describe(package, &mut lines)?;
    let mut hasher = Sha256::new();
    lines.iter().for_each(|line| hasher.update(line));
    Ok(hex(&hasher.finalize()))
}

fn describe(path: &Path, lines: &mut BTreeSet<String>) -> io::Result<()> {
    let metadata = fs_err::symlink_metadata(path)?;
    if metadata.is_dir() {
        for entry in fs_err::read_dir(path)? {
            describe(&entry?.path(), lines)?;
        }
    } else {
        let time = metadata.modified()?.duration_since(UNIX_EPOCH);
        let time = time.unwrap_or_default().as_nanos();
        let (path, length) = (path.display(), metadata.len());
        lines.insert(format!("{path} {length} {time}\n"));
    }
    Ok(())
}

fn name(package: &Path) -> Option<String> {
    if let Some(stem) = archive(package) {
        let digit = |rest: &str| rest.starts_with(|it: char| it.is_ascii_digit());
        let mut ends = stem.match_indices('-').map(|(at, _)| at);
        let end = ends.find(|at| digit(&stem[at + 1..]))?;
        return Some(stem[..end].to_owned());
    }
    let text = fs_err::read_to_string(package.join("Cargo.toml")).ok()?;
    Some(toml::from_str::<Manifest>(&text).ok()?.package.name)
}

/// Removes the files that Cargo has unpacked from an archive.
fn forget_unpacked(stem: &str, cargo_home: &Path) -> io::Result<()> {
    for registry in target::list(&cargo_home.join("registry/src")) {
        let sources = registry.join(stem);
        if sources.is_dir() {
            fs_err::remove_dir_all(sources)?;
        }
    }
    Ok(())
}

/// Removes the fingerprints of packages, so that Cargo compiles them and their
/// dependents.
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
        sources.push(file("app/registry/edited-crate-2.0.0-rc.1.crate", "a"));
        file("app/registry/index/ed/it/edited-crate", "");
        let unpacked = file("home/registry/src/x/edited-crate-2.0.0-rc.1/lib.rs", "a");
        let forget = || {
            let (app, known) = (path("app"), path("vendored.json"));
            forget_changed(&app, &known, &path("target"), &path("home"))
        };
        forget().unwrap();
        assert!(!unpacked.exists());
        let [edited, other] = compiled();
        forget().unwrap();
        let exist = |files: &[PathBuf]| files.iter().all(|path| path.exists());
        assert!(exist(&edited) && exist(&other));

        for source in [&sources[0], &sources[2]] {
            compiled();
            let source = fs_err::File::options().append(true).open(source);
            let time = UNIX_EPOCH + Duration::from_secs(7);
            source.unwrap().file().set_modified(time).unwrap();
            forget().unwrap();
            assert!(!edited.iter().any(|path| path.exists()) && exist(&other));
        }
    }
}
