//! When Cargo takes what was compiled for fresh.
//!
//! It compares a file's time with the moment at which the compiler started.
//! What a build compiles is a copy, though: a file that is edited in the
//! project's folder meanwhile is older than that moment, and a Cargo that sees
//! the folder itself would take it for the one that was compiled. So what was
//! compiled is made as old as the newest file that it was made of.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cargo::{Script, hash};
use crate::target::list;

/// Names of the files by which Cargo knows when a compiler started.
const STARTED: &str = "dep-";

/// What was compiled of `app` since a moment, in directories such as
/// `target/release`.
pub(crate) fn of_compiled(roots: &[PathBuf], app: &Path, since: SystemTime) -> io::Result<()> {
    for root in roots {
        let mut times = HashMap::new();
        for rules in files(root, &["deps", "build"]) {
            let name = rules.file_stem().and_then(|it| it.to_str());
            let compiled = rules.extension().is_some_and(|it| it == "d");
            if compiled
                && is_since(&rules, since)
                && let Some(hash) = name.and_then(hash)
                && let Some(time) = newest_source(&fs_err::read_to_string(&rules)?, app)
            {
                times.insert(hash.to_owned(), time);
            }
        }
        for file in files(root, &[".fingerprint"]) {
            let name = file.file_name().and_then(|it| it.to_str());
            let unit = file.parent().and_then(Path::file_name);
            if name.is_some_and(|it| it.starts_with(STARTED))
                && let Some(time) = unit
                    .and_then(|it| it.to_str())
                    .and_then(hash)
                    .and_then(|it| times.get(it))
            {
                set_older(&file, *time)?;
            }
        }
    }
    Ok(())
}

/// What build scripts of the project printed since a moment.
pub(crate) fn of_scripts(scripts: &[Script], since: SystemTime) -> io::Result<()> {
    for Script { package, out } in scripts {
        let output = out.with_file_name("output");
        if !is_since(&output, since) {
            continue;
        }
        let said = String::from_utf8_lossy(&fs_err::read(&output)?).into_owned();
        let watched = |line: &str| {
            let rest = line.strip_prefix("cargo:")?;
            let rest = rest.strip_prefix(':').unwrap_or(rest);
            newest(&package.join(rest.strip_prefix("rerun-if-changed=")?.trim()))
        };
        if let Some(time) = said.lines().filter_map(watched).max() {
            set_older(&output, time)?;
        }
    }
    Ok(())
}

/// The newest file of the first rule of a `.d` file; absent when none of them
/// is in the project.
fn newest_source(rules: &str, app: &Path) -> Option<SystemTime> {
    let rule = rules.lines().find(|line| line.contains(": "))?;
    let (_, files) = rule.split_once(": ")?;
    // A space in a name has a backslash before it.
    let files = files.replace("\\ ", "\0");
    let paths: Vec<PathBuf> = files
        .split(' ')
        .filter(|name| !name.is_empty())
        .map(|name| app.join(name.replace('\0', " ")))
        .collect();
    if !paths.iter().any(|path| path.starts_with(app)) {
        return None;
    }
    paths.iter().filter_map(|path| modified(path)).max()
}

/// The newest time in a tree, as Cargo looks for it.
fn newest(path: &Path) -> Option<SystemTime> {
    let own = modified(path)?;
    let inner = list(path).into_iter().filter_map(|path| newest(&path));
    Some(inner.fold(own, SystemTime::max))
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

fn is_since(path: &Path, since: SystemTime) -> bool {
    modified(path).is_some_and(|time| time >= since)
}

fn set_older(path: &Path, time: SystemTime) -> io::Result<()> {
    if modified(path).is_some_and(|now| now > time) {
        let file = fs_err::File::options().append(true).open(path)?;
        file.file().set_modified(time)?;
    }
    Ok(())
}

/// Files in directories and in the directories there.
fn files(root: &Path, directories: &[&str]) -> Vec<PathBuf> {
    let entries = directories.iter().flat_map(|name| list(&root.join(name)));
    let inner = entries.flat_map(|path| {
        if path.is_dir() {
            list(&path)
        } else {
            vec![path]
        }
    });
    inner.filter(|path| path.is_file()).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn file(path: &Path, text: &str, seconds: u64) {
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
        let file = fs_err::File::options().append(true).open(path).unwrap();
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        file.file().set_modified(time).unwrap();
    }

    fn seconds(path: &Path) -> u64 {
        let since = modified(path).unwrap().duration_since(UNIX_EPOCH);
        since.unwrap().as_secs()
    }

    #[test]
    fn what_was_compiled_is_as_old_as_its_newest_file() {
        let directory = tempfile::tempdir().unwrap();
        let (app, root) = (
            directory.path().join("app"),
            directory.path().join("release"),
        );
        file(&app.join("src/main.rs"), "", 10);
        file(&app.join("src/a b.rs"), "", 20);
        let unit = |name: &str, text: &str| {
            file(&root.join(format!("deps/{name}.d")), text, 100);
            let started = root.join(format!(".fingerprint/{name}/dep-bin"));
            file(&started, "", 100);
            started
        };
        let own = unit(
            "shop-00000000000000aa",
            "/t/shop: src/main.rs src/a\\ b.rs\n\nsrc/main.rs:\n",
        );
        let foreign = unit("itoa-00000000000000bb", "/t/itoa: /cargo/itoa/lib.rs\n");
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let roots = [root];
        of_compiled(&roots, &app, at(101)).unwrap();
        assert_eq!(seconds(&own), 100);
        of_compiled(&roots, &app, at(99)).unwrap();
        assert_eq!((seconds(&own), seconds(&foreign)), (20, 100));
    }

    #[test]
    fn a_script_is_as_old_as_what_it_watches() {
        let directory = tempfile::tempdir().unwrap();
        let package = directory.path().join("package");
        file(&package.join("api.proto"), "", 30);
        let output = directory.path().join("build/shop-00000000000000aa/output");
        file(
            &output,
            "cargo::rerun-if-changed=api.proto\ncargo:x=y\n",
            100,
        );
        let out = output.with_file_name("out");
        of_scripts(&[Script { package, out }], UNIX_EPOCH).unwrap();
        assert_eq!(seconds(&output), 30);
    }
}
