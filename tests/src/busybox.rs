//! An image of a few megabytes, in the registry.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::{Reader, registry, setting};

/// The name of an image with busybox, and nothing else.
pub fn busybox() -> String {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        let name = format!("{}/test/busybox", registry());
        make(&name, &program("busybox"), "amd64");
        name
    });
    NAME.clone()
}

/// The same, for arm64.
pub fn busybox_arm64() -> String {
    let name = format!("{}/test/busybox-arm64", registry());
    let busybox = setting("LOCALD_TEST_ARM64_BUSYBOX");
    make(&name, Path::new(&busybox), "arm64");
    name
}

/// An image with busybox and layers above it, the lowest first: archives.
pub fn busybox_below(name: &str, layers: &[&Path]) -> String {
    let (base, name) = (busybox(), format!("{}/test/{name}", registry()));
    let mut arguments = vec!["append", "--insecure", "-b", &base, "-t", &name];
    for layer in layers {
        arguments.extend(["-f", layer.to_str().unwrap()]);
    }
    Reader("crane").run(&arguments);
    name
}

fn make(name: &str, busybox: &Path, architecture: &str) {
    let folder = tempfile::tempdir().unwrap();
    let tar = archive(folder.path(), busybox);
    let tar = tar.to_str().unwrap();
    let crane = Reader("crane");
    crane.run(&[
        "append",
        "--insecure",
        "--oci-empty-base",
        "-t",
        name,
        "-f",
        tar,
    ]);
    let platform = format!("linux/{architecture}");
    crane.run(&[
        "mutate",
        "--insecure",
        name,
        "-t",
        name,
        "--set-platform",
        &platform,
    ]);
}

/// A root directory with busybox, as an archive.
pub(crate) fn archive(folder: &Path, busybox: &Path) -> PathBuf {
    let root = folder.join("root");
    for directory in ["bin", "tmp"] {
        fs_err::create_dir_all(root.join(directory)).unwrap();
    }
    fs_err::copy(busybox, root.join("bin/busybox")).unwrap();
    std::os::unix::fs::symlink("busybox", root.join("bin/sh")).unwrap();
    let tar = folder.join("root.tar");
    let (file, root) = (tar.to_str().unwrap(), root.to_str().unwrap());
    Reader("tar").run(&["-cf", file, "-C", root, "."]);
    tar
}

pub(crate) fn program(name: &str) -> PathBuf {
    let places = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(name));
    places.into_iter().find(|path| path.exists()).unwrap()
}

/// The words of a command in the image.
pub fn in_busybox<'a>(image: &'a str, script: &'a str) -> [&'a str; 7] {
    ["run", "--command", image, "--", "/bin/sh", "-c", script]
}
