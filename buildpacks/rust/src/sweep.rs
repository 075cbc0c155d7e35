//! Keeps the cache small. Removes artefacts that the last build did not use,
//! and old artefacts of other profiles, which only shells use.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use crate::cargo::{Artefacts, hash};
use crate::compilation::Compilation;
use crate::sbom::Lock;
use crate::target::{self, Locked, Unit, entries, list};

/// Directories of a target directory whose entries have a hash in their names.
const HASHED: [&str; 4] = ["deps", ".fingerprint", "build", "examples"];

/// The age at which unused artefacts of other profiles are removed.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// Removes artefacts and sources that are not needed. Does nothing while
/// another Cargo works in the cache: a later build then removes them.
pub(crate) fn sweep(compilation: &Compilation, target: &Path, cargo_home: &Path, lock: &Lock) {
    let mut alone = Vec::new();
    let roots = target::roots(target);
    for root in &roots {
        if !compilation.locks.contains_key(root) {
            match Locked::try_now(root) {
                Some(locked) => alone.push(locked),
                None => return,
            }
        }
    }
    for root in &roots {
        if compilation.roots.contains(root) {
            artefacts(root, &compilation.artefacts);
        } else {
            old(root, KEPT);
        }
    }
    sources(cargo_home, lock);
}

/// Removes artefacts that are older than `age`.
fn old(root: &Path, age: Duration) {
    for directory in HASHED.into_iter().chain(["incremental"]) {
        for entry in entries(&root.join(directory)) {
            let modified = entry.metadata().and_then(|it| it.modified());
            if modified.is_ok_and(|time| time.elapsed().is_ok_and(|it| it > age)) {
                remove(&entry.path());
            }
        }
    }
}

/// Removes artefacts that the build did not use: other versions, other
/// features, other compilers.
fn artefacts(root: &Path, artefacts: &Artefacts) {
    let units = target::units(root);
    let used = used(root, artefacts, &units);
    let unused = |hash: &str| !used.contains(hash);
    for directory in HASHED {
        for entry in entries(&root.join(directory)) {
            if entry
                .file_name()
                .to_str()
                .and_then(hash)
                .is_some_and(unused)
            {
                remove(&entry.path());
            }
        }
    }
    for Unit { hash, own, .. } in &units {
        if let Some(own) = own.as_ref().filter(|_| unused(hash)) {
            remove(own);
        }
    }
}

/// The hashes of all artefacts of the build. The file name of a program or a
/// shared library has none. Such a file is a hard link to one whose name has a
/// hash.
fn used(root: &Path, artefacts: &Artefacts, units: &[Unit]) -> HashSet<String> {
    let mut used = artefacts.used.clone();
    let inodes: HashSet<u64> = artefacts.files.iter().filter_map(|it| inode(it)).collect();
    let is_used = |path: &Path| inode(path).is_some_and(|it| inodes.contains(&it));
    for path in ["deps", "examples"]
        .iter()
        .flat_map(|name| list(&root.join(name)))
    {
        let name = path.file_name().and_then(|it| it.to_str());
        if let Some(hash) = name.and_then(hash)
            && is_used(&path)
        {
            used.insert(hash.to_owned());
        }
    }
    for unit in units {
        let mut out = unit.own.iter().flat_map(|own| list(&own.join("out")));
        if out.any(|path| is_used(&path))
            || unit.own.is_none() && artefacts.unhashed.contains(&unit.package)
        {
            used.insert(unit.hash.clone());
        }
    }
    used
}

/// Removes downloaded sources that `Cargo.lock` does not name.
fn sources(cargo_home: &Path, lock: &Lock) {
    let named = |package: &crate::sbom::Locked| format!("{}-{}", package.name, package.version);
    let named: HashSet<String> = lock.packages.iter().map(named).collect();
    for kind in ["cache", "src"] {
        for registry in entries(&cargo_home.join("registry").join(kind)) {
            for entry in entries(&registry.path()) {
                let name = entry.file_name().to_string_lossy().into_owned();
                let package = name.strip_suffix(".crate").unwrap_or(&name);
                if !named.contains(package) {
                    remove(&entry.path());
                }
            }
        }
    }
    let sources = lock
        .packages
        .iter()
        .filter_map(|package| package.source.as_ref());
    let commits: Vec<&str> = sources
        .filter_map(|source| source.strip_prefix("git+")?.rsplit_once('#'))
        .map(|(_, commit)| commit)
        .collect();
    if commits.is_empty() {
        remove(&cargo_home.join("git"));
    }
    for repository in entries(&cargo_home.join("git/checkouts")) {
        for checkout in entries(&repository.path()) {
            let name = checkout.file_name();
            let short = name.to_string_lossy();
            if !commits.iter().any(|commit| commit.starts_with(&*short)) {
                remove(&checkout.path());
            }
        }
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs_err::symlink_metadata(path).ok().map(|it| it.ino())
}

/// Removes a path. A failure is ignored, because it only costs space.
fn remove(path: &Path) {
    let is_directory = fs_err::symlink_metadata(path).is_ok_and(|it| it.is_dir());
    let _ = if is_directory {
        fs_err::remove_dir_all(path)
    } else {
        fs_err::remove_file(path)
    };
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn what_the_build_did_not_use_goes() {
        let target = tempfile::tempdir().unwrap();
        let root = target.path().join("release");
        let file = |path: &str| {
            let path = root.join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(&path, "").unwrap();
            path
        };
        let (used, unused) = ("00000000000000aa", "00000000000000bb");
        let kept = [
            file(&format!("deps/libserde-{used}.rlib")),
            file(&format!(".fingerprint/serde-{used}/lib-serde")),
            file("deps/no-hash"),
            file("deps/shop-00000000000000cc"),
            file("examples/demo-00000000000000dd"),
            file(".fingerprint/engine-00000000000000ee/lib-engine"),
            file(&format!("build/serde/{used}/out/libserde.rlib")),
            file("build/tool/00000000000000ff/out/tool"),
        ];
        let gone = [
            file(&format!("deps/libserde-{unused}.rlib")),
            file(&format!("build/serde-{unused}/out/x")),
            file(&format!("examples/other-{unused}")),
            file(&format!("build/serde/{unused}/out/x")),
        ];
        let uplift = |from: usize, name: &str| {
            let path = root.join(name);
            fs_err::hard_link(&kept[from], &path).unwrap();
            path
        };
        let files = vec![
            uplift(3, "shop"),
            uplift(4, "examples/demo"),
            uplift(7, "tool"),
        ];
        let made = Artefacts {
            files,
            used: [used.to_owned()].into(),
            unhashed: ["engine".to_owned()].into(),
            ..Artefacts::default()
        };
        artefacts(&root, &made);
        let (lost, stays) = (
            kept.iter().find(|path| !path.exists()),
            gone.iter().find(|path| path.exists()),
        );
        assert_eq!((lost, stays), (None, None));
    }

    #[test]
    fn what_a_shell_compiled_goes_when_it_is_old() {
        let target = tempfile::tempdir().unwrap();
        let root = target.path().join("debug");
        let file = |path: &str, age: Duration| {
            let path = root.join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            let file = fs_err::File::create(&path).unwrap();
            let time = std::time::SystemTime::now() - age;
            file.file().set_modified(time).unwrap();
            path
        };
        let new = file("deps/libserde-00000000000000aa.rlib", KEPT / 2);
        let aged = file("deps/libserde-00000000000000bb.rlib", KEPT * 2);
        old(&root, KEPT);
        assert!(new.exists() && !aged.exists());
    }
}
