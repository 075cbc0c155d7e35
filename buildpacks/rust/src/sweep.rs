//! Keeps the cache small: what the last build did not use goes, and what a
//! shell has compiled for other profiles after some time.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use crate::cargo::Artefacts;
use crate::compilation::Compilation;
use crate::sbom::Lock;
use crate::target::{self, Locked, entries};

/// Directories of a target directory whose entries have a hash in their names.
const HASHED: [&str; 3] = ["deps", ".fingerprint", "build"];

/// How long artefacts stay that no build uses.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// Removes what is not needed, unless another Cargo works in the cache: then a
/// later build does.
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
    artefacts(&compilation.artefacts);
    let unused = |root: &&std::path::PathBuf| !compilation.artefacts.roots.contains(*root);
    roots.iter().filter(unused).for_each(|root| old(root, KEPT));
    sources(cargo_home, lock);
}

/// Removes artefacts that are older.
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

/// Removes artefacts of dependencies that the build did not use: other
/// versions, other features, other compilers.
fn artefacts(artefacts: &Artefacts) {
    let programs = artefacts.programs.values();
    let inodes: HashSet<u64> = programs.filter_map(|path| inode(path)).collect();
    for root in &artefacts.roots {
        let mut used = artefacts.used.clone();
        // A program's own name has no hash; it is linked to one that has.
        for entry in entries(&root.join("deps")) {
            let name = entry.file_name();
            let hash = name.to_str().and_then(crate::cargo::hash);
            if let Some(hash) = hash
                && inode(&entry.path()).is_some_and(|it| inodes.contains(&it))
            {
                used.insert(hash.to_owned());
            }
        }
        for directory in HASHED {
            for entry in entries(&root.join(directory)) {
                let name = entry.file_name();
                let hash = name.to_str().and_then(crate::cargo::hash);
                if hash.is_some_and(|hash| !used.contains(hash)) {
                    remove(&entry.path());
                }
            }
        }
    }
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

/// What cannot be removed stays: it costs space, nothing else.
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
        ];
        let gone = [
            file(&format!("deps/libserde-{unused}.rlib")),
            file(&format!("build/serde-{unused}/out/x")),
        ];
        let program = root.join("shop");
        fs_err::hard_link(&kept[3], &program).unwrap();
        artefacts(&Artefacts {
            programs: [("shop".to_owned(), program)].into(),
            used: [used.to_owned()].into(),
            roots: [root].into(),
            ..Artefacts::default()
        });
        assert!(kept.iter().all(|path| path.exists()));
        assert!(!gone.iter().any(|path| path.exists()));
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
