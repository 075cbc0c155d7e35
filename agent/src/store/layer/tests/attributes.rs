//! Extended attributes.

use super::{Layer, Mutex};
use crate::store::layer::LayerError;

fn attribute(extracted: &super::Extracted, path: &str, name: &str) -> Option<Vec<u8>> {
    let mut value = [0; 64];
    let length = rustix::fs::getxattr(extracted.path(path), name, &mut value).ok()?;
    Some(value[..length].to_vec())
}

/// Extracts a layer. Returns the result and the log of the extraction.
fn listen(layer: Layer) -> (super::Extracted, String) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let writer = Mutex::new(log.reopen().unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();
    let extracted = tracing::subscriber::with_default(subscriber, || layer.extract());
    (extracted, fs_err::read_to_string(log.path()).unwrap())
}

/// Directories that a container engine has used have such attributes. So do
/// images that were made from such directories.
#[test]
fn attributes_of_overlayfs_and_of_the_machine_do_not_come_from_an_archive() {
    for name in [
        "user.overlay.impure",
        "user.overlay.opaque",
        "user.overlay.redirect",
        "user.overlay.metacopy",
        "user.overlay.origin",
        "user.overlay.whiteout",
        "user.overlay.whiteouts",
        "user.overlay.overlay.opaque",
        "trusted.overlay.opaque",
        "trusted.overlay.redirect",
        "trusted.overlay.overlay.whiteout",
        "trusted.mine",
        "security.selinux",
        "system.posix_acl_access",
        "odd",
        "",
    ] {
        let key = format!("SCHILY.xattr.{name}");
        let records = [(&*key, &b"y"[..]), ("SCHILY.xattr.user.mine", b"1")];
        let layer = Layer::new().pax(&records).directory("x/").pax(&records);
        let (extracted, said) = listen(layer.file("x/file", "content"));
        assert_eq!(extracted.text("x/file"), "content");
        for path in ["x", "x/file"] {
            assert_eq!(attribute(&extracted, path, name), None, "{name}");
            assert_eq!(attribute(&extracted, path, "user.mine").unwrap(), b"1");
        }
        assert!(!extracted.is_opaque("x"), "{name}");
        // One warning for all files. It names the first one.
        let warnings: Vec<&str> = said.lines().filter(|it| it.contains("WARN")).collect();
        assert_eq!(warnings.len(), 1, "{name}: {said}");
        assert!(
            warnings[0].contains(name) && warnings[0].contains("x/"),
            "{said}"
        );
    }
}

#[test]
fn of_many_names_the_first_ones_are_told() {
    let long = format!("SCHILY.xattr.user.{}", "n".repeat(300));
    let mut layer = Layer::new().pax(&[(&long, b"y")]).file("x", "");
    for number in 0..40 {
        let key = format!("SCHILY.xattr.user.overlay.{number}");
        layer = layer.pax(&[(&key, b"y")]).file("x", "");
    }
    let (extracted, said) = listen(layer);
    assert_eq!(extracted.text("x"), "");
    let warnings = said.lines().filter(|it| it.contains("WARN"));
    assert_eq!(warnings.count(), 20, "{said}");
}

#[test]
fn names_and_values_need_not_be_text() {
    let key = b"SCHILY.xattr.user.\xff";
    let record = [&b"28 "[..], key, b"=\0\xfe\n=\n"].concat();
    assert_eq!(record.len(), 28);
    let layer = Layer::new().raw(tar::EntryType::XHeader, b"pax", b"", &record);
    let empty = [("SCHILY.xattr.user.empty", &b""[..])];
    let extracted = layer.file("x", "").pax(&empty).file("y", "").extract();
    let mut value = [0; 64];
    let name = &b"user.\xff"[..];
    let length = rustix::fs::getxattr(extracted.path("x"), name, &mut value).unwrap();
    assert_eq!(&value[..length], b"\0\xfe\n=");
    assert_eq!(attribute(&extracted, "y", "user.empty").unwrap(), b"");
}

/// The limit depends on the file system and is at most 64 KiB.
#[test]
fn an_attribute_that_cannot_be_kept_is_named() {
    let long = vec![b'x'; 70_000];
    for layer in [
        Layer::new()
            .pax(&[("SCHILY.xattr.user.big", &long)])
            .file("dir/x", ""),
        Layer::new()
            .pax(&[("SCHILY.xattr.user.big", &long)])
            .directory("dir/x"),
    ] {
        let error = layer.extract().result.unwrap_err();
        let said = error.to_string();
        assert!(matches!(error, LayerError::Attribute { .. }), "{said}");
        for part in ["\"user.big\"", "70000 bytes", "\"dir/x\""] {
            assert!(said.contains(part), "{said}");
        }
        let failure = protocol::Failure::from(error);
        assert_eq!(failure.kind, protocol::FailureKind::Store);
        assert!(failure.hint.is_some());
    }
    // For a value of this length ext4 reports a full disk.
    let layer = Layer::new().pax(&[("SCHILY.xattr.user.big", &long[..10_000])]);
    if let Err(error) = layer.file("x", "").extract().result {
        assert!(matches!(error, LayerError::Attribute { .. }), "{error}");
    }
}
