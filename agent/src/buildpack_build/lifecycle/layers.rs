//! Lists the layers that buildpacks have left in a layers directory: CNB
//! buildpack specification, "Layer Types".

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The layers below a layers directory, as `BUILDPACK/LAYER`. Skips links.
pub(crate) fn layers_in(layers: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for buildpack in directories(layers) {
        let own = directories(&layers.join(&buildpack)).into_iter();
        found.extend(own.map(|layer| Path::new(&buildpack).join(layer)));
    }
    found
}

/// The names of the subdirectories of a directory.
fn directories(path: &Path) -> Vec<OsString> {
    let is_directory = |path: &Path| {
        let metadata = fs_err::symlink_metadata(path);
        metadata.is_ok_and(|metadata| metadata.is_dir())
    };
    if !is_directory(path) {
        return Vec::new();
    }
    let entries = fs_err::read_dir(path).into_iter().flatten().flatten();
    let entries = entries.filter(|entry| is_directory(&entry.path()));
    entries.map(|entry| entry.file_name()).collect()
}
