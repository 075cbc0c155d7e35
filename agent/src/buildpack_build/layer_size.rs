//! Checks that the files of a build can become a layer. A sparse file occupies
//! no space on disk, and its full size in a layer. Its export would take hours
//! and fill the disk.

use std::path::{Path, PathBuf};

use protocol::{Failure, FailureKind};
use rustix::fs::FileType;

use crate::buildpack_build::lifecycle::{LAYERS, WORKSPACE, layers_in};
use crate::kernel::walk::{Step, Walk, is_directory};
use crate::store::layer::SIZE_CAP;

const GIBIBYTE: u64 = 1024 * 1024 * 1024;

/// Fails if a layer, or the application's directory, is larger than a layer of
/// an image may be.
pub(super) fn check(layers: &Path, workspace: &Path) -> Result<(), Failure> {
    let mut heavy = None;
    for layer in layers_in(layers) {
        let found = weigh(&layers.join(layer));
        heavy = heavy.or(found.map(|file| seen(&file, layers, LAYERS)));
    }
    heavy = heavy.or(weigh(workspace).map(|file| seen(&file, workspace, WORKSPACE)));
    let Some(file) = heavy else {
        return Ok(());
    };
    let most = SIZE_CAP / GIBIBYTE;
    let message = format!("the build has left more than {most} GiB for one layer");
    let mut failure = Failure::new(FailureKind::Integrity, message);
    let file = file.display();
    failure.causes.push(format!("the largest file is {file}"));
    failure.hint = Some("what is only needed while building belongs into /tmp".to_owned());
    Err(failure)
}

/// Returns the largest file of a tree that is too large. Skips files that
/// cannot be read; the exporter reports them.
fn weigh(tree: &Path) -> Option<PathBuf> {
    let (mut all, mut largest) = (0_u64, (0, PathBuf::new()));
    let mut walk = Walk::of(tree).ok()?;
    while let Ok(Some(step)) = walk.next() {
        let Step::Entry(entry) = step else { continue };
        let Ok(stat) = entry.stat(&walk) else {
            continue;
        };
        if is_directory(&stat) {
            let _ = walk.enter(&entry);
        } else if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
            let size = stat.st_size.cast_unsigned();
            all = all.saturating_add(size);
            if size > largest.0 {
                largest = (size, walk.path(&entry));
            }
        }
    }
    (all > SIZE_CAP).then_some(largest.1)
}

/// The path of a file as the buildpack sees it.
fn seen(path: &Path, root: &Path, place: &str) -> PathBuf {
    Path::new(place).join(path.strip_prefix(root).unwrap_or(path))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed step fails the test")]
    use super::*;

    #[test]
    fn sizes_count_as_a_layer_would_have_them() {
        let directory = tempfile::tempdir().unwrap();
        let (layers, workspace) = (directory.path().join("l"), directory.path().join("w"));
        for path in ["l/pack/one/deep", "l/pack/two", "w/folder"] {
            fs_err::create_dir_all(directory.path().join(path)).unwrap();
        }
        let sparse = |path: &str, gibibytes: u64| {
            let file = fs_err::File::create(directory.path().join(path)).unwrap();
            file.file().set_len(gibibytes * GIBIBYTE).unwrap();
        };
        // The walk does not follow links.
        fs_err::os::unix::fs::symlink("/", layers.join("pack/one/link")).unwrap();
        sparse("l/pack/one/deep/a", 40);
        sparse("l/pack/two/b", 40);
        sparse("w/folder/c", 64);
        check(&layers, &workspace).unwrap();
        sparse("l/pack/one/d", 30);
        let failure = check(&layers, &workspace).unwrap_err();
        assert!(failure.message.contains("64 GiB"), "{failure:?}");
        assert!(failure.causes[0].ends_with("/layers/pack/one/deep/a"));
        sparse("l/pack/one/d", 0);
        sparse("w/e", 1);
        let failure = check(&layers, &workspace).unwrap_err();
        assert!(failure.causes[0].ends_with("/workspace/folder/c"));
    }
}
