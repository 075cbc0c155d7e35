//! Tests of whiteouts and opaque directories.

use super::Layer;

#[test]
fn whiteouts_become_those_of_overlayfs() {
    let extracted = Layer::new()
        .file("etc/.wh.gone", "")
        .file("var/.wh..wh..opq", "")
        .file("var/new", "kept")
        .file("both/.wh.file", "")
        .file("both/file", "kept")
        .file(".wh..wh.plnk", "")
        .extract();
    assert!(extracted.is_whiteout("etc/gone"));
    assert!(extracted.is_opaque("var"));
    assert_eq!(extracted.text("var/new"), "kept");
    assert_eq!(extracted.text("both/file"), "kept");
    assert!(!extracted.path(".wh..wh.plnk").exists());
    for name in [".wh.", ".wh..", ".wh..."] {
        assert!(
            Layer::new().file(name, "").extract().result.is_err(),
            "{name}"
        );
    }
}

#[test]
fn nothing_is_hidden_twice() {
    let extracted = Layer::new()
        .file("d/.wh.before", "")
        .file("d/.wh..wh..opq", "")
        .file("d/.wh.after", "")
        .file("d/e/.wh.deep", "")
        .file("d/.wh.new", "")
        .file("d/new", "kept")
        .file("other/.wh.gone", "")
        .extract();
    for name in ["d/before", "d/after", "d/e/deep"] {
        let path = extracted.path(name);
        assert!(fs_err::symlink_metadata(path).is_err(), "{name}");
    }
    assert!(extracted.is_opaque("d"));
    assert_eq!(extracted.text("d/new"), "kept");
    assert!(extracted.is_whiteout("other/gone"));
}

#[test]
fn a_directory_that_replaces_one_hides_what_was_below() {
    let before = Layer::new().file(".wh.x", "").file("x/new", "").extract();
    assert!(before.is_opaque("x"));
    let after = Layer::new().file("x/new", "").file(".wh.x", "").extract();
    assert!(after.is_opaque("x"));
    let plain = Layer::new().file("x/new", "").extract();
    assert!(!plain.is_opaque("x"));
}
