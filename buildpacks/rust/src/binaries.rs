//! The layer that the image is about: the programs, and those shared libraries
//! that were installed for the build alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use libcnb::build::BuildContext;
use libcnb::data::layer_name;
use libcnb::layer::UncachedLayerDefinition;
use libcnb::layer_env::{LayerEnv, ModificationBehavior, Scope};
use serde::Serialize;

use crate::apt::Packages;
use crate::buildpack::RustBuildpack;
use crate::cargo::{Artefacts, CargoError};
use crate::elf;
use crate::error::BuildError;
use crate::selection::Selection;

/// Where programs listen when nobody says otherwise.
const PORT: &str = "8080";

/// `[metadata]` of the layer: a platform may compare it with the run image.
#[derive(Debug, Serialize)]
struct Metadata {
    /// Shared libraries that the run image must have.
    needed: BTreeSet<String>,
}

/// Makes the layer; returns its path.
pub(crate) fn layer(
    context: &BuildContext<RustBuildpack>,
    selection: &Selection,
    artefacts: &Artefacts,
    packages: &Packages,
) -> libcnb::Result<PathBuf, BuildError> {
    let definition = UncachedLayerDefinition {
        build: false,
        launch: true,
    };
    let layer = context.uncached_layer(layer_name!("programs"), definition)?;
    let root = layer.path();
    let needed = copy(&root, selection, artefacts, packages)?;
    layer.write_metadata(Metadata { needed })?;
    let web = Scope::Process("web".to_owned());
    let env = LayerEnv::new().chainable_insert(web, ModificationBehavior::Default, "PORT", PORT);
    layer.write_env(env)?;
    Ok(root)
}

/// Copies programs and libraries; returns what else they need.
fn copy(
    root: &Path,
    selection: &Selection,
    artefacts: &Artefacts,
    packages: &Packages,
) -> Result<BTreeSet<String>, BuildError> {
    let bin = root.join("bin");
    fs_err::create_dir_all(&bin).map_err(BuildError::io("make", &bin))?;
    let mut wanted = Vec::new();
    for name in selection.programs() {
        let Some(path) = artefacts.programs.get(name).filter(|path| path.is_file()) else {
            let path = artefacts.programs.get(name).cloned().unwrap_or_default();
            let name = name.clone();
            return Err(CargoError::NoProgram { name, path }.into());
        };
        let needed = copy_one(path, &bin.join(name))?;
        wanted.extend(needed.into_iter().map(|name| (name, By::Program)));
    }
    copy_libraries(&root.join("lib"), wanted, packages)
}

/// Who needs a library.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Program,
    /// One that was installed for the build: what it needs of the builder may
    /// be there for the same reason alone, and comes along, too.
    Library,
}

/// Copies libraries and what they need themselves; returns what must be in the
/// run image.
fn copy_libraries(
    lib: &Path,
    mut wanted: Vec<(String, By)>,
    packages: &Packages,
) -> Result<BTreeSet<String>, BuildError> {
    let (mut copied, mut missing) = (BTreeSet::new(), BTreeSet::new());
    while let Some((name, by)) = wanted.pop() {
        if copied.contains(&name) {
            continue;
        }
        let found = match by {
            By::Program => find(&packages.libraries(), &name),
            By::Library if elf::is_of_c_library(&name) => None,
            By::Library => find(&packages.all_libraries(), &name),
        };
        let Some(path) = found else {
            missing.insert(name);
            continue;
        };
        fs_err::create_dir_all(lib).map_err(BuildError::io("make", lib))?;
        let needed = copy_one(&path, &lib.join(&name))?;
        wanted.extend(needed.into_iter().map(|name| (name, By::Library)));
        copied.insert(name);
    }
    Ok(&missing - &copied)
}

fn find(directories: &[PathBuf], name: &str) -> Option<PathBuf> {
    let mut paths = directories.iter().map(|directory| directory.join(name));
    paths.find(|path| path.is_file())
}

/// Copies a file; returns the libraries that it needs.
fn copy_one(from: &Path, to: &Path) -> Result<Vec<String>, BuildError> {
    fs_err::copy(from, to).map_err(BuildError::io("copy", from))?;
    let content = fs_err::read(to).map_err(BuildError::io("read", to))?;
    Ok(elf::needed(&content))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn libraries_of_the_build_come_along_and_others_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let packages = Packages::at(&directory.path().join("packages"));
        let libraries = directory.path().join("packages/usr/lib");
        fs_err::create_dir_all(&libraries).unwrap();
        // This program stands in for a library: it needs libc.so.6, too.
        let own = std::env::current_exe().unwrap();
        fs_err::copy(&own, libraries.join("libc.so.6")).unwrap();
        let programs = [("shop".to_owned(), own)].into();
        let artefacts = Artefacts {
            programs,
            ..Artefacts::default()
        };
        let selection = Selection {
            packages: Vec::new(),
            bins: vec!["shop".to_owned()],
            examples: Vec::new(),
            web: None,
        };
        let root = directory.path().join("layer");
        let missing = copy(&root, &selection, &artefacts, &packages).unwrap();
        assert!(root.join("bin/shop").is_file());
        assert!(root.join("lib/libc.so.6").is_file());
        assert!(!missing.contains("libc.so.6"), "{missing:?}");
    }
}
