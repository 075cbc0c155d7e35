//! Copies the shared libraries that only the build image has: those that Cargo
//! built, the toolchain's own, and those of installed packages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::apt::Packages;
use crate::compilation::Compilation;
use crate::elf::{self, Linked};
use crate::error::BuildError;
use crate::toolchain::Toolchain;

/// The places to look for libraries.
#[derive(Debug, Default)]
pub(crate) struct Libraries {
    /// Libraries that Cargo built, by file name.
    built: BTreeMap<String, PathBuf>,
    /// The directories that `cargo run` adds to the loader's search path.
    own: Vec<PathBuf>,
    packages: Vec<PathBuf>,
    /// The directories of the packages and of the builder.
    all: Vec<PathBuf>,
}

/// The libraries that the run image must have. A platform may compare them with
/// its run image.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Rest {
    /// File names of shared libraries.
    pub(crate) needed: BTreeSet<String>,
    /// The programs' own search directories.
    pub(crate) searched: BTreeSet<String>,
}

/// The kind of file that needs a library.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// A file that Cargo built. The run image must have the libraries of the
    /// builder that it needs.
    Build,
    /// A package that was installed for the build. The builder's libraries that
    /// it needs may exist only for the build, so they are copied, too.
    Package,
}

impl Libraries {
    /// The libraries of a build. `project` are directories that the build owns.
    pub(crate) fn of(
        compilation: &Compilation,
        toolchain: &Toolchain,
        packages: &Packages,
        project: &[&Path],
    ) -> Self {
        let artefacts = &compilation.artefacts;
        let linked = artefacts.linked.iter();
        let mut own: Vec<PathBuf> = linked
            .filter(|path| project.iter().any(|project| path.starts_with(project)))
            .cloned()
            .collect();
        let roots = compilation.roots.iter();
        own.extend(roots.flat_map(|root| [root.clone(), root.join("deps")]));
        own.extend(toolchain.libraries());
        Self {
            built: artefacts.libraries.clone(),
            own,
            packages: packages.libraries(),
            all: packages.all_libraries(),
        }
    }

    /// The libraries of packages only.
    #[cfg(test)]
    pub(crate) fn of_packages(packages: &Packages) -> Self {
        Self {
            packages: packages.libraries(),
            all: packages.all_libraries(),
            ..Self::default()
        }
    }

    /// Copies the libraries that programs need, and the libraries that those
    /// need. Returns the ones that the run image must have.
    pub(crate) fn copy(&self, to: &Path, programs: Vec<Linked>) -> Result<Rest, BuildError> {
        let (mut rest, mut copied, mut wanted) = (Rest::default(), BTreeSet::new(), Vec::new());
        let mut want = |linked: Linked, by: By, wanted: &mut Vec<_>| {
            let absolute = linked.searched.into_iter().filter(|it| it.starts_with('/'));
            rest.searched.extend(absolute);
            wanted.extend(linked.needed.into_iter().map(|name| (name, by)));
        };
        for program in programs {
            want(program, By::Build, &mut wanted);
        }
        let mut missing = BTreeSet::new();
        while let Some((name, by)) = wanted.pop() {
            if copied.contains(&name) {
                continue;
            }
            let Some((path, by)) = self.find(&name, by) else {
                missing.insert(name);
                continue;
            };
            fs_err::create_dir_all(to).map_err(BuildError::io("make", to))?;
            want(copy_one(&path, &to.join(&name))?, by, &mut wanted);
            copied.insert(name);
        }
        rest.needed = &missing - &copied;
        Ok(rest)
    }

    /// Finds a library. Returns its path, and its kind for the libraries that
    /// it needs.
    fn find(&self, name: &str, by: By) -> Option<(PathBuf, By)> {
        let built = self.built.get(name).filter(|path| path.is_file());
        let own = built.cloned().or_else(|| find(&self.own, name));
        let own = own.map(|path| (path, By::Build));
        let of_package = || {
            let directories = match by {
                By::Build => &self.packages,
                By::Package if elf::is_of_c_library(name) => return None,
                By::Package => &self.all,
            };
            Some((find(directories, name)?, By::Package))
        };
        own.or_else(of_package)
    }
}

fn find(directories: &[PathBuf], name: &str) -> Option<PathBuf> {
    let mut paths = directories.iter().map(|directory| directory.join(name));
    paths.find(|path| path.is_file())
}

/// Copies a file. Returns the libraries that it needs.
pub(crate) fn copy_one(from: &Path, to: &Path) -> Result<Linked, BuildError> {
    fs_err::copy(from, to).map_err(BuildError::io("copy", from))?;
    let content = fs_err::read(to).map_err(BuildError::io("read", to))?;
    Ok(Linked::of(&content))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::cargo::Artefacts;

    #[test]
    fn what_was_built_or_is_the_toolchains_comes_along() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let file = |name: &str| {
            fs_err::create_dir_all(path(name).parent().unwrap()).unwrap();
            fs_err::write(path(name), "").unwrap();
        };
        let release = "target/release";
        file(&format!("{release}/libengine.so"));
        file(&format!("{release}/build/x-00000000000000aa/out/libx.so.1"));
        file("elsewhere/liby.so.1");
        file("toolchain/lib/rustlib/some-target/lib/libstd-1.so");
        let linked = ["target/release/build/x-00000000000000aa/out", "elsewhere"];
        let engine = path(&format!("{release}/libengine.so"));
        let compilation = Compilation {
            artefacts: Artefacts {
                libraries: [("libengine.so".to_owned(), engine)].into(),
                linked: linked.map(&path).to_vec(),
                ..Artefacts::default()
            },
            roots: vec![path(release)],
            locks: BTreeMap::new(),
        };
        let toolchain = Toolchain {
            bin: path("toolchain/bin"),
            release: String::new(),
        };
        let target = path("target");
        let libraries = Libraries::of(&compilation, &toolchain, &Packages::default(), &[&target]);
        let names = ["libengine.so", "libx.so.1", "liby.so.1", "libstd-1.so"];
        let program = Linked {
            needed: names.map(str::to_owned).to_vec(),
            searched: vec!["$ORIGIN".to_owned(), "/opt/y".to_owned()],
        };
        let rest = libraries.copy(&path("lib"), vec![program]).unwrap();
        assert_eq!(rest.needed, ["liby.so.1".to_owned()].into());
        assert_eq!(rest.searched, ["/opt/y".to_owned()].into());
        for name in ["libengine.so", "libx.so.1", "libstd-1.so"] {
            assert!(path("lib").join(name).is_file(), "{name}");
        }
    }
}
