//! Tests of links, also of links that appear during an extraction, and of
//! modes.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use tar::EntryType;

use super::{Layer, extract};
use crate::kernel::namespace::Privilege;
use crate::store::layer::*;

/// The directory to extract into. Set for a child process with another umask.
const UMASK_ROOT: &str = "LOCALD_TEST_UMASK_ROOT";

#[test]
fn a_hard_link_to_what_comes_later_is_refused() {
    let layer = Layer::new().hardlink("x", "y").file("y", "");
    assert!(layer.refusal().contains("does not hold"));
    let extracted = Layer::new()
        .file("y", "same")
        .hardlink("x", "/y")
        .hardlink("not/listed/x", "y")
        .hardlink(".wh.gone", ".wh.other")
        .extract();
    assert_eq!(extracted.text("x"), "same");
    assert_eq!(extracted.text("not/listed/x"), "same");
    // Docker writes such whiteouts for deleted links.
    assert!(extracted.is_whiteout("gone"));
    let extracted = Layer::new()
        .symlink("up", "../..")
        .file("outside", "inside")
        .hardlink("x", "up/outside")
        .extract();
    assert_eq!(extracted.text("x"), "inside");
}

#[test]
fn a_mode_is_not_given_to_what_a_link_leads_to() {
    let extracted = Layer::new()
        .raw(EntryType::Directory, b"target/", b"", b"")
        .symlink("link", "target")
        .file("link/in", "")
        .extract();
    let mode = |path: &str| fs_err::metadata(extracted.path(path)).unwrap().mode() & 0o7777;
    assert_eq!(mode("target"), 0o755);
    // An entry for the directory itself replaces the link.
    let extracted = Layer::new()
        .directory("target/")
        .symlink("link", "target")
        .directory("link/")
        .extract();
    let link = fs_err::symlink_metadata(extracted.path("link")).unwrap();
    assert!(link.is_dir());
    // A directory that a link has replaced does not change the link's target.
    let extracted = Layer::new()
        .pax(&[("mtime", b"5")])
        .directory("link/")
        .symlink("link", "target")
        .directory("target/")
        .extract();
    let target = fs_err::metadata(extracted.path("target")).unwrap();
    assert_eq!(target.mtime(), 1_000_000_000);
}

#[test]
fn the_last_entry_of_a_directory_counts() {
    let extracted = Layer::new()
        .pax(&[("mtime", b"5")])
        .directory("twice/")
        .directory("twice/")
        .extract();
    let twice = fs_err::metadata(extracted.path("twice")).unwrap();
    assert_eq!(twice.mtime(), 1_000_000_000);
}

#[test]
fn a_whiteout_through_a_link_stays_inside() {
    let extracted = Layer::new()
        .directory("real/")
        .symlink("link", "../../real")
        .file("link/.wh.gone", "")
        .file("up/.wh.outside", "")
        .extract();
    assert!(extracted.is_whiteout("real/gone"));
    assert!(extracted.is_whiteout("up/outside"));
}

#[test]
fn an_opaque_marker_after_siblings_leaves_them() {
    let extracted = Layer::new()
        .file("var/new", "kept")
        .file("var/.wh..wh..opq", "")
        .extract();
    assert!(extracted.is_opaque("var"));
    assert_eq!(extracted.text("var/new"), "kept");
}

/// The kernel resolves the names of an archive once, below the root. A link
/// that appears during the extraction does not lead outside.
#[test]
fn a_racer_changes_nothing_outside() {
    let directory = tempfile::tempdir().unwrap();
    let canary = directory.path().join("canary");
    fs_err::create_dir_all(canary.join("b")).unwrap();
    fs_err::write(canary.join("file"), "untouched").unwrap();
    let before = fingerprint(&canary);
    let mut layer = Layer::new();
    for number in 0..400 {
        // Uses another directory each time, so that none stays open.
        layer = layer
            .file(&format!("a/b/{number}"), "x")
            .file(&format!("c/{number}"), "x")
            .hardlink(&format!("a/file-{number}"), &format!("a/b/{number}"));
    }
    let bytes = layer.bytes();
    let (root, done) = (directory.path().join("root"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (real, link) = (root.join("a"), root.join("swap"));
            while !done.load(Ordering::Relaxed) {
                // A step fails if the extraction is at another point.
                let _ = symlink(&canary, &link);
                let _ = std::fs::rename(&real, root.join("away"));
                let _ = std::fs::rename(&link, &real);
                std::thread::yield_now();
                let _ = std::fs::remove_file(&real);
                let _ = std::fs::rename(root.join("away"), &real);
            }
        });
        for _ in 0..20 {
            let _ = std::fs::remove_dir_all(&root);
            // The extraction may fail, because the tree changes while it runs.
            let _ = extract(&*bytes, Compression::None, &root);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(fingerprint(&canary), before);
}

fn fingerprint(tree: &Path) -> Vec<(String, u32, i64, Vec<u8>)> {
    let mut seen = Vec::new();
    let mut left = vec![tree.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs_err::symlink_metadata(&path).unwrap();
        let content = fs_err::read(&path).unwrap_or_default();
        let changed = metadata.ctime_nsec();
        seen.push((
            path.display().to_string(),
            metadata.mode(),
            changed,
            content,
        ));
        let entries = fs_err::read_dir(&path).into_iter().flatten();
        left.extend(entries.map(|entry| entry.unwrap().path()));
    }
    seen.sort();
    seen
}

#[test]
fn modes_do_not_depend_on_the_umask() {
    let layer = || {
        Layer::new()
            .raw(EntryType::Directory, b"listed/", b"", b"")
            .file("listed/file", "x")
            .file("implied/file", "x")
            .raw(EntryType::Fifo, b"pipe", b"", b"")
            .symlink("link", "listed")
            .directory("link/inner/")
    };
    if let Ok(root) = std::env::var(UMASK_ROOT) {
        extract(&*layer().bytes(), Compression::None, root.as_ref()).unwrap();
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    for umask in ["000", "022", "077"] {
        let root = directory.path().join(umask);
        let name = std::thread::current().name().unwrap().to_owned();
        let script = format!("umask {umask}; exec \"$0\" --exact {name}");
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).arg(&program);
        let output = command.env(UMASK_ROOT, &root).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let mode = |path: &str| {
            let metadata = fs_err::metadata(root.join(path)).unwrap();
            metadata.permissions().mode() & 0o7777
        };
        let modes = [
            ".",
            "listed",
            "listed/file",
            "implied",
            "implied/file",
            "pipe",
            "listed/inner",
        ]
        .map(mode);
        assert_eq!(
            modes,
            [0o755, 0o755, 0o644, 0o755, 0o644, 0o644, 0o755],
            "{umask}"
        );
    }
}

#[test]
fn set_id_bits_and_capabilities_are_kept_inside() {
    let capability: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut layer = Layer::new().pax(&[("SCHILY.xattr.security.capability", capability)]);
    layer = layer.with_mode(0o4755).file("ping", "x");
    let extracted = layer.extract();
    let file = extracted.path("ping");
    assert_eq!(fs_err::metadata(&file).unwrap().mode() & 0o7777, 0o4755);
    let mut value = [0; 64];
    let kept = rustix::fs::getxattr(&file, "security.capability", &mut value);
    if Privilege::of_this_process().unwrap() == Privilege::Root {
        assert_eq!(&value[..kept.unwrap()], capability);
    }
}
