//! Checks that the run image has the shared libraries that the programs need.
//! So a missing library fails the build, and not the start of the image.
//!
//! An embedded buildpack lists the needs of its programs in the metadata of its
//! layer. If they need only the C library, the check fetches nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use protocol::{Failure, FailureKind};
use serde::Deserialize;

use crate::buildpack_build::embedded::RUST;
use crate::request::abridged_list::some_of;
use crate::store::layer::merged::Merged;

/// The metadata of the layer that contains the programs.
const LAYER: &str = "programs.toml";
/// Prefixes of the libraries that every run image with a C library has: those
/// of glibc and of its compiler.
const USUAL: [&str; 9] = [
    "libc.so.",
    "libm.so.",
    "libgcc_s.so.",
    "libpthread.so.",
    "libdl.so.",
    "librt.so.",
    "libutil.so.",
    "libresolv.so.",
    "ld-linux",
];
/// The default search directories of the dynamic linker.
const DIRECTORIES: [&str; 6] = [
    "lib",
    "usr/lib",
    "usr/local/lib",
    "lib64",
    "usr/lib64",
    "usr/local/lib64",
];
const CONFIGURATION: &str = "etc/ld.so.conf";
/// The most bytes of a file that is read. Valid files are much smaller.
const CAP: u64 = 4 * 1024 * 1024;

#[derive(Deserialize)]
struct Layer {
    metadata: Needed,
}

/// The needs of the programs.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Needed {
    /// File names of the libraries.
    needed: BTreeSet<String>,
    /// The programs' own search directories.
    #[serde(default)]
    searched: BTreeSet<String>,
}

impl Needed {
    /// Whether there is no library to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.needed.is_empty()
    }
}

/// Reads the needed libraries that a run image need not have from the layers
/// directory.
pub(super) fn unusual(layers: &Path) -> Needed {
    let escaped = RUST.info().id.replace('/', "_");
    // Buildpacks write this directory, so no link may lead out of it.
    let text = Merged(&[layers.to_owned()]).text(&format!("{escaped}/{LAYER}"), CAP);
    let layer = text.and_then(|text| toml::from_str::<Layer>(&text).ok());
    let mut needed = layer.map(|layer| layer.metadata).unwrap_or_default();
    let usual = |name: &String| USUAL.iter().any(|usual| name.starts_with(usual));
    needed.needed.retain(|name| !usual(name));
    needed
}

/// Fails if a run image lacks a library. `layers` are its directories, the
/// uppermost first.
pub(super) fn check(needed: &Needed, image: &str, layers: &[PathBuf]) -> Result<(), Failure> {
    let merged = Merged(layers);
    let own = needed.searched.iter().map(|it| relative(it));
    let directories: Vec<String> = own.chain(directories(merged)).collect();
    let here = |name: &String| {
        let mut places = directories.iter().map(|it| format!("{it}/{name}"));
        places.any(|place| merged.has_file(&place))
    };
    let missing: Vec<&str> = needed
        .needed
        .iter()
        .filter(|name| !here(name))
        .map(String::as_str)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the programs need {}, which the run image {image} lacks",
        some_of(&missing)
    );
    Err(Failure::new(FailureKind::Builder, message).with_hint(
        "BP_APT_PACKAGES installs packages whose libraries go into the image; \
         `--run-image` names an image that has them; many crates have a feature that links them statically",
    ))
}

fn directories(image: Merged<'_>) -> Vec<String> {
    let architecture = std::env::consts::ARCH;
    let of_debian = ["lib", "usr/lib"].map(|it| format!("{it}/{architecture}-linux-gnu"));
    let usual = DIRECTORIES.map(str::to_owned).into_iter().chain(of_debian);
    usual.chain(configured(image)).collect()
}

/// The directories in `ld.so.conf` and in the files of `ld.so.conf.d`.
fn configured(image: Merged<'_>) -> Vec<String> {
    let names = image.names(&format!("{CONFIGURATION}.d"));
    let names = names.iter().filter_map(|name| name.to_str());
    let files = names.map(|name| format!("{CONFIGURATION}.d/{name}"));
    let texts = std::iter::once(CONFIGURATION.to_owned())
        .chain(files)
        .filter_map(|file| image.text(&file, CAP));
    let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    let path = |line: String| line.trim().starts_with('/').then(|| relative(&line));
    lines.filter_map(path).collect()
}

/// Makes an absolute path relative to the image's root.
fn relative(path: &str) -> String {
    path.trim().trim_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn needed(needed: &[&str]) -> Needed {
        Needed {
            needed: needed.iter().map(|it| (*it).to_owned()).collect(),
            searched: ["/opt/own".to_owned()].into(),
        }
    }

    #[test]
    fn only_libraries_beside_the_c_library_are_looked_for() {
        let layers = tempfile::tempdir().unwrap();
        let own = layers.path().join("locald_rust");
        assert!(unusual(layers.path()).is_empty());
        fs_err::create_dir(&own).unwrap();
        let text = "[types]\nlaunch = true\n[metadata]\nneeded = [\"libc.so.6\", \"libpq.so.5\", \"ld-linux-x86-64.so.2\"]\n";
        fs_err::write(own.join(LAYER), text).unwrap();
        let unusual = unusual(layers.path());
        assert_eq!(unusual.needed, needed(&["libpq.so.5"]).needed);
    }

    #[test]
    fn a_library_is_found_in_any_layer_and_configured_directory() {
        let image = tempfile::tempdir().unwrap();
        let (base, top) = (image.path().join("base"), image.path().join("top"));
        let file = |path: PathBuf, text: &str| {
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        file(base.join("usr/lib/libz.so.1"), "");
        file(top.join("opt/x/libx.so.1"), "");
        file(base.join("etc/ld.so.conf.d/x.conf"), "# x\n/opt/x\n");
        file(base.join("etc/ld.so.conf"), "include x\n/opt/c/\n");
        file(base.join("opt/c/libc1.so"), "");
        // A search directory of the program itself.
        file(base.join("opt/own/libo.so"), "");
        std::os::unix::fs::symlink("usr/lib", base.join("lib")).unwrap();
        // A link of one layer leads into another layer.
        fs_err::create_dir_all(top.join("usr/lib")).unwrap();
        std::os::unix::fs::symlink("/opt/y/liby.so.1.2", top.join("usr/lib/liby.so.1")).unwrap();
        std::os::unix::fs::symlink("/opt/gone", top.join("usr/lib/libgone.so.1")).unwrap();
        file(base.join("opt/y/liby.so.1.2"), "");
        let layers = [top, base];
        let here = ["libz.so.1", "libx.so.1", "liby.so.1", "libc1.so", "libo.so"];
        check(&needed(&here), "run", &layers).unwrap();
        let gone = needed(&["libz.so.1", "libgone.so.1"]);
        let failure = check(&gone, "run", &layers).unwrap_err();
        assert_eq!(
            failure.message,
            "the programs need libgone.so.1, which the run image run lacks"
        );
    }
}
