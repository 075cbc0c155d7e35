//! Sets the times by which Cargo decides whether a compiled unit is fresh.
//!
//! Cargo compares the time of a source file with the start of the compiler. A
//! build compiles a copy of the source. If a user edits a file in the project's
//! folder meanwhile, that file is older than the start of the compiler. A Cargo
//! that sees the folder itself would then treat the unit as fresh. So this
//! module gives each compiled unit the time of its newest source file.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cargo::{Artefacts, Script, hash};
use crate::target::{self, Unit, list};

/// The prefix of the files whose time Cargo uses as the start of a compiler.
const STARTED: &str = "dep-";

/// Sets the times of the units of `app` that were compiled since a moment, in
/// directories such as `target/release`.
pub(crate) fn of_compiled(roots: &[PathBuf], app: &Path, since: SystemTime) -> io::Result<()> {
    for root in roots {
        let units = target::units(root);
        let mut times = HashMap::new();
        for (key, rules) in rules(root, &units) {
            if is_since(&rules, since)
                && let Some(time) = newest_source(&fs_err::read_to_string(&rules)?, app)
            {
                times.insert(key, time);
            }
        }
        for unit in &units {
            for file in list(&unit.fingerprint) {
                let name = file.file_name().and_then(|it| it.to_str());
                if let Some(target) = name.and_then(|it| it.strip_prefix(STARTED)) {
                    let by_name = || times.get(&crate_name(target));
                    if let Some(time) = times.get(&unit.hash).or_else(by_name) {
                        set_older(&file, *time)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// The compiler's `.d` files by the hash of their unit. A file without a hash
/// has the name of its crate as key.
fn rules(root: &Path, units: &[Unit]) -> Vec<(String, PathBuf)> {
    let is_rules = |path: &PathBuf| path.extension().is_some_and(|it| it == "d");
    let key = |path: &Path| {
        let stem = path.file_stem()?.to_str()?;
        Some(hash(stem).unwrap_or(stem).to_owned())
    };
    let shared = files(root, &["deps", "build", "examples"]);
    let shared = shared
        .into_iter()
        .filter_map(|path| Some((key(&path)?, path)));
    let own = units.iter().flat_map(|unit| {
        let out = unit.own.iter().flat_map(|own| list(&own.join("out")));
        out.map(|path| (unit.hash.clone(), path))
    });
    shared
        .chain(own)
        .filter(|(_, path)| is_rules(path))
        .collect()
}

/// The crate name of a target in the file name `dep-KIND-TARGET`.
fn crate_name(target: &str) -> String {
    let (_, name) = target.split_once('-').unwrap_or_default();
    name.replace('-', "_")
}

/// Sets the times of the output that the project's build scripts printed since
/// a moment. Cargo also compares this time with that of the script's program
/// and of the output of scripts that ran before.
pub(crate) fn of_scripts(artefacts: &Artefacts, since: SystemTime) -> io::Result<()> {
    let printed: Vec<(&Script, PathBuf, SystemTime)> = artefacts
        .scripts
        .iter()
        .filter_map(|script| {
            let output = output(script)?;
            let time = modified(&output)?;
            Some((script, output, time))
        })
        .collect();
    for (script, output, time) in printed.iter().filter(|(.., time)| *time >= since) {
        let Some(newest) = newest_watched(script, output)? else {
            continue;
        };
        let program = artefacts.script_programs.get(&script.package_id);
        let program = program.and_then(|path| modified(path));
        let earlier = printed.iter().map(|(.., other)| *other);
        let earlier = earlier.filter(|other| other < time);
        let time = earlier.chain(program).fold(newest, SystemTime::max);
        set_older(output, time)?;
    }
    Ok(())
}

/// The file with the output of a script. Older and newer Cargos use different
/// paths.
fn output(script: &Script) -> Option<PathBuf> {
    let places = ["output", "run/stdout"].map(|name| script.out.with_file_name(name));
    places.into_iter().find(|path| path.is_file())
}

/// The newest time of the files that a script of the project watches.
fn newest_watched(script: &Script, output: &Path) -> io::Result<Option<SystemTime>> {
    let Some(package) = script.directory() else {
        return Ok(None);
    };
    let said = String::from_utf8_lossy(&fs_err::read(output)?).into_owned();
    let watched = |line: &str| {
        let rest = line.strip_prefix("cargo:")?;
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        newest(&package.join(rest.strip_prefix("rerun-if-changed=")?.trim()))
    };
    Ok(said.lines().filter_map(watched).max())
}

/// The time of the newest source file in the first rule of a `.d` file; absent
/// if no file is in the project.
fn newest_source(rules: &str, app: &Path) -> Option<SystemTime> {
    let rule = rules.lines().find(|line| line.contains(": "))?;
    let (_, files) = rule.split_once(": ")?;
    // A backslash escapes a space in a name.
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

/// The newest time in a tree, computed as Cargo does.
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

/// The files in some directories and in their subdirectories.
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
        let shop = unit(
            "shop-00000000000000aa",
            "/t/shop: src/main.rs src/a\\ b.rs\n\nsrc/main.rs:\n",
        );
        let foreign = unit("itoa-00000000000000bb", "/t/itoa: /cargo/itoa/lib.rs\n");
        // A shared library has no hash in its name.
        let shared = root.join(".fingerprint/en-gine-00000000000000dd/dep-lib-en-gine");
        file(&shared, "", 100);
        file(&root.join("deps/en_gine.d"), "/t/x: src/main.rs\n", 100);
        // The layout of newer Cargos.
        let own = root.join("build/tool/00000000000000ee");
        let newer = own.join("fingerprint/dep-bin-tool");
        file(&newer, "", 100);
        file(&own.join("out/tool.d"), "/t/tool: src/main.rs\n", 100);
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let roots = [root];
        of_compiled(&roots, &app, at(101)).unwrap();
        assert_eq!(seconds(&shop), 100);
        of_compiled(&roots, &app, at(99)).unwrap();
        assert_eq!((seconds(&shop), seconds(&foreign)), (20, 100));
        assert_eq!((seconds(&shared), seconds(&newer)), (10, 10));
    }

    #[test]
    fn a_script_is_as_old_as_what_it_watches_and_was_made_by() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let said = "cargo::rerun-if-changed=api.proto\ncargo:x=y\n";
        file(&path("app/api.proto"), "", 30);
        for (output, program, earlier, expected) in [
            ("shop-00000000000000aa/output", 20, 10, 30),
            ("shop/00000000000000bb/run/stdout", 40, 10, 40),
            ("shop/00000000000000cc/run/stdout", 20, 50, 50),
        ] {
            let output = path("build").join(output);
            file(&output, said, 100);
            file(&path("program"), "", program);
            file(&path("build/other-00000000000000ee/output"), "", earlier);
            let package_id = format!("path+file://{}#0.1.0", path("app").display());
            let unit = output.ancestors().find(|it| {
                let name = it.file_name().and_then(|it| it.to_str());
                name.is_some_and(|it| hash(it).is_some() || crate::cargo::is_hash(it))
            });
            let script = |package_id: &str, unit: &Path| Script {
                package_id: package_id.to_owned(),
                out: unit.join("out"),
            };
            let artefacts = Artefacts {
                scripts: vec![
                    script(&package_id, unit.unwrap()),
                    script("registry+x#y@1.0.0", &path("build/other-00000000000000ee")),
                ],
                script_programs: [(package_id, path("program"))].into(),
                ..Artefacts::default()
            };
            of_scripts(&artefacts, UNIX_EPOCH).unwrap();
            assert_eq!(seconds(&output), expected);
        }
    }
}
