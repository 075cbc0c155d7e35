//! Tests of stacks in which some layers do not list their directories.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tar::EntryType;

use super::{Extracted, Layer};
use crate::store::layer::stack;

/// Extracted layers, the lowest first, and the lower directories of overlayfs.
struct Stack {
    layers: Vec<Extracted>,
    scratch: tempfile::TempDir,
    lowers: Vec<PathBuf>,
}

impl Stack {
    fn of(layers: impl IntoIterator<Item = Layer>) -> Self {
        let layers: Vec<Extracted> = layers.into_iter().map(Layer::extract).collect();
        let described = layers.iter().map(|layer| stack::Layer {
            root: layer.path(""),
            implied: layer.result.as_ref().unwrap().implied.clone(),
        });
        let described: Vec<stack::Layer> = described.collect();
        let scratch = tempfile::tempdir().unwrap();
        let lowers = stack::lowers(&described, scratch.path()).unwrap();
        Self {
            layers,
            scratch,
            lowers,
        }
    }

    /// The correction of the uppermost layer.
    fn correction(&self) -> Extracted {
        assert!(self.lowers[0].starts_with(self.scratch.path()), "none");
        let directory = tempfile::tempdir().unwrap();
        fs_err::os::unix::fs::symlink(&self.lowers[0], directory.path().join("root")).unwrap();
        let last = self.layers.last().unwrap().result.as_ref().unwrap();
        let result = Ok(last.clone());
        Extracted { directory, result }
    }

    fn is_as_it_was(&self) -> bool {
        let layers = self.layers.iter().rev().map(|it| it.path(""));
        layers.eq(self.lowers.iter().cloned())
    }
}

/// `/lib` is a link, as in most distributions.
fn merged() -> Layer {
    Layer::new()
        .directory("usr")
        .directory("usr/lib")
        .file("usr/lib/gone", "")
        .symlink("lib", "usr/lib")
}

#[test]
fn what_a_layer_puts_behind_a_link_below_goes_where_it_leads() {
    let layer = Layer::new()
        .file("lib/x", "new")
        .hardlink("lib/same", "lib/x")
        .file("lib/.wh.gone", "")
        .directory("lib/own")
        .file("lib/own/deep/y", "deep");
    let stack = Stack::of([merged(), layer]);
    let correction = stack.correction();
    let link = fs_err::read_link(correction.path("lib")).unwrap();
    assert_eq!(link, Path::new("usr/lib"));
    assert_eq!(correction.text("usr/lib/x"), "new");
    assert_eq!(correction.text("usr/lib/same"), "new");
    assert_eq!(correction.text("usr/lib/own/deep/y"), "deep");
    assert!(correction.is_whiteout("usr/lib/gone"));
    assert!(!correction.is_opaque("usr/lib"));
}

#[test]
fn a_directory_below_keeps_its_mode() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(EntryType::Directory);
    header.set_mode(0o1777);
    header.set_mtime(7);
    header.set_size(0);
    let mut below = Layer::new();
    below
        .archive
        .append_data(&mut header, "tmp", &[][..])
        .unwrap();
    let stack = Stack::of([below, Layer::new().file("tmp/x", "")]);
    let correction = stack.correction();
    let metadata = fs_err::metadata(correction.path("tmp")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o1777);
    assert_eq!(
        metadata.modified().unwrap(),
        std::time::UNIX_EPOCH + std::time::Duration::from_secs(7)
    );
    assert!(!correction.path("tmp/x").exists());
}

#[test]
fn corrections_are_made_only_where_something_is_below() {
    let whiteout = || Layer::new().file(".wh.lib", "");
    let stacks: [&[fn() -> Layer]; 6] = [
        &[merged],
        &[merged, || Layer::new().file("opt/x", "")],
        // A listed directory replaces the link, as in other tools.
        &[merged, || Layer::new().directory("lib").file("lib/x", "")],
        &[merged, || {
            Layer::new().file(".wh.lib", "").file("lib/x", "")
        }],
        &[merged, || {
            Layer::new().file("lib/x", "").file(".wh.lib", "")
        }],
        &[
            merged,
            || Layer::new().file("lib", "a file"),
            || Layer::new().file("lib/x", ""),
        ],
    ];
    for (number, layers) in stacks.iter().enumerate() {
        let stack = Stack::of(layers.iter().map(|layer| layer()));
        assert!(stack.is_as_it_was(), "{number}: {:?}", stack.lowers);
    }
    let hidden = Stack::of([merged(), whiteout(), Layer::new().file("lib/x", "")]);
    assert!(hidden.is_as_it_was());
}

#[test]
fn a_correction_is_below_the_layers_above() {
    let stack = Stack::of([
        merged(),
        Layer::new().file("lib/x", "first"),
        Layer::new().file("lib/x", "second"),
    ]);
    assert_eq!(stack.lowers.len(), 5);
    assert_eq!(stack.correction().text("usr/lib/x"), "second");
    let first = stack.lowers[2].join("usr/lib/x");
    assert_eq!(fs_err::read_to_string(first).unwrap(), "first");
}

#[test]
fn links_below_lead_nowhere_else() {
    for target in ["/usr/lib", "../../usr/lib", "./usr/../usr/lib", "other"] {
        let below = merged().symlink("other", "/usr/lib").symlink("a", target);
        let stack = Stack::of([below, Layer::new().file("a/x", "in")]);
        assert_eq!(stack.correction().text("usr/lib/x"), "in", "{target}");
    }
    let missing = merged().symlink("a", "/no/such/place");
    let stack = Stack::of([missing, Layer::new().file("a/x", "in")]);
    assert_eq!(stack.correction().text("no/such/place/x"), "in");
    for below in [
        merged().symlink("a", "b").symlink("b", "a"),
        merged().symlink("a", "usr/lib/gone"),
        merged().symlink("a", "usr/lib/gone/x"),
    ] {
        let stack = Stack::of([below, Layer::new().file("a/x", "in")]);
        assert!(stack.is_as_it_was());
    }
}

#[test]
fn a_link_in_a_correction_leads_nothing_out() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    for (link, directory) in [("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")] {
        let below = merged()
            .symlink("a", "/usr/lib")
            .symlink("b", "/usr/lib")
            .symlink("c", "/usr/lib");
        let layer = Layer::new()
            .symlink(&format!("{link}/trap"), target)
            .directory(&format!("{directory}/trap"))
            .file(&format!("{directory}/trap/x"), "out");
        Stack::of([below, layer]);
        assert_eq!(fs_err::read_dir(outside.path()).unwrap().count(), 0);
    }
}
