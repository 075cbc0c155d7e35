//! Makes the main layer of the image: the programs, and the shared libraries
//! that only the build image has.

use std::path::{Path, PathBuf};

use libcnb::build::BuildContext;
use libcnb::data::layer_name;
use libcnb::layer::UncachedLayerDefinition;
use libcnb::layer_env::{LayerEnv, ModificationBehavior, Scope};

use crate::buildpack::RustBuildpack;
use crate::error::BuildError;
use crate::libraries::{Libraries, Rest, copy_one};
use crate::programs::Programs;

/// The default port of the programs.
const PORT: &str = "8080";

/// Makes the layer. Returns its path.
pub(crate) fn layer(
    context: &BuildContext<RustBuildpack>,
    programs: &Programs,
    libraries: &Libraries,
) -> libcnb::Result<PathBuf, BuildError> {
    let definition = UncachedLayerDefinition {
        build: false,
        launch: true,
    };
    let layer = context.uncached_layer(layer_name!("programs"), definition)?;
    let root = layer.path();
    layer.write_metadata(copy(&root, programs, libraries)?)?;
    let web = Scope::Process("web".to_owned());
    let env = LayerEnv::new().chainable_insert(web, ModificationBehavior::Default, "PORT", PORT);
    layer.write_env(env)?;
    Ok(root)
}

/// Copies programs and libraries. Returns the libraries that they also need.
/// The launcher adds `lib` of each layer to the loader's search path.
fn copy(root: &Path, programs: &Programs, libraries: &Libraries) -> Result<Rest, BuildError> {
    let bin = root.join("bin");
    fs_err::create_dir_all(&bin).map_err(BuildError::io("make", &bin))?;
    let copied = programs.paths.iter();
    let copied = copied.map(|(name, path)| copy_one(path, &bin.join(name)));
    libraries.copy(&root.join("lib"), copied.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::apt::Packages;

    #[test]
    fn libraries_of_the_build_come_along_and_others_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let packages = Packages::at(&directory.path().join("packages"));
        let libraries = directory.path().join("packages/usr/lib");
        fs_err::create_dir_all(&libraries).unwrap();
        // The test program stands in for a library, because it also needs
        // libc.so.6.
        let own = std::env::current_exe().unwrap();
        fs_err::copy(&own, libraries.join("libc.so.6")).unwrap();
        let programs = Programs {
            paths: vec![("shop".to_owned(), own)],
            web: None,
        };
        let root = directory.path().join("layer");
        let rest = copy(&root, &programs, &Libraries::of_packages(&packages)).unwrap();
        assert!(root.join("bin/shop").is_file());
        assert!(root.join("lib/libc.so.6").is_file());
        assert!(!rest.needed.contains("libc.so.6"), "{rest:?}");
    }
}
