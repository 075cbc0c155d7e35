//! An image of a few megabytes, in the registry.

use std::path::Path;
use std::sync::LazyLock;

use crate::{Reader, registry};

/// The name of an image with busybox, and nothing else.
pub fn busybox() -> String {
    static NAME: LazyLock<String> = LazyLock::new(make);
    NAME.clone()
}

fn make() -> String {
    let name = format!("{}/test/busybox", registry());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let root = folder.path().join("root");
    for directory in ["bin", "tmp"] {
        fs_err::create_dir_all(root.join(directory)).unwrap();
    }
    fs_err::copy(program("busybox"), root.join("bin/busybox")).unwrap();
    std::os::unix::fs::symlink("busybox", root.join("bin/sh")).unwrap();
    let (tar, root) = (path("root.tar"), path("root"));
    Reader("tar").run(&["-cf", &tar, "-C", &root, "."]);
    let crane = Reader("crane");
    crane.run(&[
        "append",
        "--insecure",
        "--oci-empty-base",
        "-t",
        &name,
        "-f",
        &tar,
    ]);
    let platform = ["--set-platform", "linux/amd64"];
    crane.run(&[&["mutate", "--insecure", &name, "-t", &name][..], &platform].concat());
    name
}

fn program(name: &str) -> std::path::PathBuf {
    let places = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(name));
    places.into_iter().find(|path| path.exists()).unwrap()
}

/// The words of a command in the image.
pub fn in_busybox<'a>(image: &'a str, script: &'a str) -> [&'a str; 7] {
    ["run", "--command", image, "--", "/bin/sh", "-c", script]
}
