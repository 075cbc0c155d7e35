//! What `cargo build --message-format json` says that it made or found made.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Everything that a build is made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Artefacts {
    /// Programs by their targets' names.
    pub(crate) programs: BTreeMap<String, PathBuf>,
    /// The hashes in the names of files and directories that the build uses.
    pub(crate) used: HashSet<String>,
    /// Where target directories have their artefacts: `…/release`.
    pub(crate) roots: HashSet<PathBuf>,
    /// Build scripts of the project's own packages.
    pub(crate) scripts: Vec<Script>,
}

/// A build script that has run, now or in an earlier build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    /// Its package's directory.
    pub(crate) package: PathBuf,
    /// Where it puts what it makes.
    pub(crate) out: PathBuf,
}

#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact {
        target: Target,
        filenames: Vec<PathBuf>,
        executable: Option<PathBuf>,
    },
    BuildScriptExecuted {
        package_id: String,
        out_dir: PathBuf,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Artefacts {
    pub(super) fn read(stdout: impl Read) -> io::Result<Self> {
        let mut artefacts = Self::default();
        for line in BufReader::new(stdout).lines() {
            // What a build script prints is no message.
            if let Ok(message) = serde_json::from_str(&line?) {
                artefacts.add(message);
            }
        }
        Ok(artefacts)
    }

    fn add(&mut self, message: Message) {
        match message {
            Message::CompilerArtifact {
                target,
                filenames,
                executable,
            } => {
                filenames.iter().for_each(|path| self.use_path(path));
                let runnable = |kind: &String| kind == "bin" || kind == "example";
                if let Some(path) = executable.filter(|_| target.kind.iter().any(runnable)) {
                    self.programs.insert(target.name, path);
                }
            }
            Message::BuildScriptExecuted {
                package_id,
                out_dir: out,
            } => {
                self.use_path(&out);
                if let Some(package) = directory(&package_id) {
                    self.scripts.push(Script { package, out });
                }
            }
            Message::Other => {}
        }
    }

    fn use_path(&mut self, path: &Path) {
        for part in path.components() {
            if let Some(hash) = part.as_os_str().to_str().and_then(hash) {
                self.used.insert(hash.to_owned());
            }
        }
        let inner = path
            .ancestors()
            .find(|it| it.ends_with("deps") || it.ends_with("build"));
        if let Some(root) = inner.and_then(Path::parent) {
            self.roots.insert(root.to_owned());
        }
    }
}

/// Where a package of the project is: `path+file:///app/member#1.0.0`.
fn directory(package_id: &str) -> Option<PathBuf> {
    let path = package_id.strip_prefix("path+file://")?;
    Some(path.split('#').next()?.into())
}

/// The hash in a name that Cargo gives: `libserde-0123456789abcdef.rlib`.
pub(crate) fn hash(name: &str) -> Option<&str> {
    let stem = name.split('.').next()?;
    let (_, hash) = stem.rsplit_once('-')?;
    let digits = hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then_some(hash)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn programs_and_hashes_are_found() {
        let output = r#"
{"reason":"compiler-artifact","target":{"name":"serde","kind":["lib"]},"filenames":["/t/release/deps/libserde-0123456789abcdef.rlib"],"executable":null}
{"reason":"build-script-executed","package_id":"registry+https://github.com/rust-lang/crates.io-index#ring@0.17.0","out_dir":"/t/release/build/ring-fedcba9876543210/out"}
{"reason":"build-script-executed","package_id":"path+file:///app/shop#0.1.0","out_dir":"/t/release/build/shop-0000000000000001/out"}
{"reason":"compiler-artifact","target":{"name":"shop","kind":["bin"]},"filenames":["/t/release/shop"],"executable":"/t/release/shop"}
{"reason":"build-finished","success":true}
no message"#;
        let artefacts = Artefacts::read(output.as_bytes()).unwrap();
        assert_eq!(artefacts.programs["shop"], Path::new("/t/release/shop"));
        assert!(artefacts.used.contains("0123456789abcdef"));
        assert!(artefacts.used.contains("fedcba9876543210"));
        assert_eq!(artefacts.roots, [PathBuf::from("/t/release")].into());
        assert_eq!(artefacts.scripts.len(), 1);
        assert_eq!(artefacts.scripts[0].package, Path::new("/app/shop"));
    }
}
