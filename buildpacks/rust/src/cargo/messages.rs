//! Parses the output of `cargo build --message-format json`.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::selection::{Kind, Package};

/// All artefacts of a build, whether new or from an earlier build.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Artefacts {
    pub(crate) programs: Vec<Program>,
    /// Shared libraries by file name.
    pub(crate) libraries: BTreeMap<String, PathBuf>,
    /// Library search paths that build scripts passed to the linker.
    pub(crate) linked: Vec<PathBuf>,
    /// All files of the artefacts.
    pub(crate) files: Vec<PathBuf>,
    /// The hashes in the names of the files and directories that the build
    /// uses.
    pub(crate) used: HashSet<String>,
    /// Packages with only shared libraries. Cargo adds no hash to the names of
    /// their files.
    pub(crate) unhashed: HashSet<String>,
    pub(crate) scripts: Vec<Script>,
    /// Programs of build scripts by package id.
    pub(crate) script_programs: BTreeMap<String, PathBuf>,
}

/// An executable target.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) package_id: String,
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// A build script that ran in this build or in an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) package_id: String,
    /// The output directory of the script.
    pub(crate) out: PathBuf,
}

impl Script {
    /// The directory of the script's package, if it is a package of the
    /// project: `path+file:///app/member#1.0.0`.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        let path = self.package_id.strip_prefix("path+file://")?;
        Some(path.split('#').next()?.into())
    }
}

#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact(Artefact),
    BuildScriptExecuted {
        package_id: String,
        out_dir: PathBuf,
        #[serde(default)]
        linked_paths: Vec<String>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Artefact {
    package_id: String,
    target: Target,
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
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
            // Skips lines that are not messages, such as the output of a build
            // script.
            if let Ok(message) = serde_json::from_str(&line?) {
                artefacts.add(message);
            }
        }
        Ok(artefacts)
    }

    /// The path of a program; absent if it was not built.
    pub(crate) fn program(&self, package: &Package, kind: Kind, name: &str) -> Option<PathBuf> {
        let is = |it: &&Program| it.package_id == package.id && it.kind == kind && it.name == name;
        let program = self.programs.iter().find(is)?;
        Some(program.path.clone())
    }

    fn add(&mut self, message: Message) {
        match message {
            Message::CompilerArtifact(artefact) => self.add_artefact(artefact),
            Message::BuildScriptExecuted {
                package_id,
                out_dir: out,
                linked_paths,
            } => {
                self.use_path(&out);
                self.linked.extend(linked_paths.iter().map(|it| linked(it)));
                self.scripts.push(Script { package_id, out });
            }
            Message::Other => {}
        }
    }

    fn add_artefact(&mut self, artefact: Artefact) {
        let Artefact {
            package_id,
            target,
            filenames,
            executable,
        } = artefact;
        let mut is_shared = false;
        let mut is_hashed = false;
        for path in &filenames {
            self.use_path(path);
            let name = path.file_name().and_then(|it| it.to_str());
            let name = name.unwrap_or_default();
            is_hashed |= hash(name).is_some();
            if path.extension().is_some_and(|it| it == "so") {
                is_shared = true;
                self.libraries.insert(name.to_owned(), path.clone());
            }
        }
        if is_shared && !is_hashed {
            self.unhashed.insert(package_name(&package_id).to_owned());
        }
        if target.kind.iter().any(|it| it == "custom-build")
            && let Some(program) = filenames.first()
        {
            let programs = &mut self.script_programs;
            programs.insert(package_id.clone(), program.clone());
        }
        self.files.extend(filenames);
        let kinds = [Kind::Bin, Kind::Example];
        let kind = kinds
            .into_iter()
            .find(|kind| target.kind.iter().any(|it| it == kind.name()));
        if let (Some(kind), Some(path)) = (kind, executable) {
            self.programs.push(Program {
                package_id,
                kind,
                name: target.name,
                path,
            });
        }
    }

    fn use_path(&mut self, path: &Path) {
        for part in path.components() {
            let part = part.as_os_str().to_str();
            if let Some(hash) = part.and_then(|it| hash(it).or_else(|| is_hash(it).then_some(it))) {
                self.used.insert(hash.to_owned());
            }
        }
    }
}

/// The name in a package id: `…#NAME@VERSION`, or `…/NAME#VERSION`.
fn package_name(package_id: &str) -> &str {
    let (source, rest) = package_id.rsplit_once('#').unwrap_or((package_id, ""));
    let last = || source.rsplit('/').next().unwrap_or_default();
    rest.split_once('@').map_or_else(last, |(name, _)| name)
}

/// The directory in a linker argument of the form `KIND=DIRECTORY`.
fn linked(path: &str) -> PathBuf {
    let kinds = ["dependency", "crate", "native", "framework", "all"];
    match path.split_once('=') {
        Some((kind, directory)) if kinds.contains(&kind) => directory.into(),
        _ => path.into(),
    }
}

/// The hash in a name that Cargo made: `libserde-0123456789abcdef.rlib`.
pub(crate) fn hash(name: &str) -> Option<&str> {
    let stem = name.split('.').next()?;
    let (_, hash) = stem.rsplit_once('-')?;
    is_hash(hash).then_some(hash)
}

/// Whether a name consists of only a hash of Cargo.
pub(crate) fn is_hash(name: &str) -> bool {
    name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn programs_libraries_and_hashes_are_found() {
        let output = r#"
{"reason":"compiler-artifact","package_id":"registry+https://x#serde@1.0.0","target":{"name":"serde","kind":["lib"]},"filenames":["/t/release/deps/libserde-0123456789abcdef.rlib"],"executable":null}
{"reason":"compiler-artifact","package_id":"registry+https://x#itoa@1.0.0","target":{"name":"itoa","kind":["lib"]},"filenames":["/t/release/build/itoa/0123456789abcdee/out/libitoa.rlib"],"executable":null}
{"reason":"compiler-artifact","package_id":"path+file:///app/engine#0.1.0","target":{"name":"engine","kind":["dylib"]},"filenames":["/t/release/libengine.so"],"executable":null}
{"reason":"compiler-artifact","package_id":"path+file:///app/both#0.1.0","target":{"name":"both","kind":["rlib","cdylib"]},"filenames":["/t/release/deps/libboth-0123456789abcded.rlib","/t/release/libboth.so"],"executable":null}
{"reason":"build-script-executed","package_id":"registry+https://github.com/rust-lang/crates.io-index#ring@0.17.0","linked_paths":["native=/t/release/build/ring-fedcba9876543210/out/lib"],"out_dir":"/t/release/build/ring-fedcba9876543210/out"}
{"reason":"build-script-executed","package_id":"path+file:///app/shop#0.1.0","out_dir":"/t/release/build/shop-0000000000000001/out"}
{"reason":"compiler-artifact","package_id":"path+file:///app/shop#0.1.0","target":{"name":"shop","kind":["bin"]},"filenames":["/t/release/shop"],"executable":"/t/release/shop"}
{"reason":"build-finished","success":true}
no message"#;
        let artefacts = Artefacts::read(output.as_bytes()).unwrap();
        let shop = &artefacts.programs[0];
        assert_eq!((shop.kind, &*shop.name), (Kind::Bin, "shop"));
        assert_eq!(shop.path, Path::new("/t/release/shop"));
        let engine = &artefacts.libraries["libengine.so"];
        assert_eq!(engine, Path::new("/t/release/libengine.so"));
        assert_eq!(artefacts.unhashed, ["engine".to_owned()].into());
        for hash in ["0123456789abcdef", "0123456789abcdee", "fedcba9876543210"] {
            assert!(artefacts.used.contains(hash), "{hash}");
        }
        let linked = Path::new("/t/release/build/ring-fedcba9876543210/out/lib");
        assert_eq!(artefacts.linked, [linked]);
        assert_eq!(artefacts.scripts[0].directory(), None);
        let own = artefacts.scripts[1].directory();
        assert_eq!(own.as_deref(), Some(Path::new("/app/shop")));
    }

    #[test]
    fn a_package_is_known_by_its_name() {
        assert_eq!(package_name("path+file:///app/engine#0.1.0"), "engine");
        assert_eq!(package_name("path+file:///app/x#engine@0.1.0"), "engine");
        assert_eq!(package_name("registry+https://x#serde@1.0.0"), "serde");
    }
}
