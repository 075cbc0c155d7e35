//! Files of the lifecycle, which builders and buildpacks write.

use agent::fuzzing::{extended_order, layer_environment};

/// The bytes as `order.toml`, as `group.toml`, and as the description of a
/// layer that has values for the environment.
pub(crate) fn lifecycle_toml(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Some(order) = extended_order(text) {
        let again = extended_order(&order).expect("what was written can be read");
        assert!(again.len() > order.len());
    }
    let layers = tempfile::tempdir().expect("a directory can be made");
    let write = |path: &str, content: &str| {
        fs_err::write(layers.path().join(path), content).expect("a file can be written");
    };
    write("group.toml", text);
    layer_environment(layers.path());
    write("group.toml", "[[group]]\nid = \"a/b\"\n");
    fs_err::create_dir_all(layers.path().join("a_b/x/env")).expect("a directory can be made");
    write("a_b/x.toml", text);
    write("a_b/x/env/NAME.append", text);
    write("a_b/x/env/NAME.delim", ":");
    for (name, _) in layer_environment(layers.path()).unwrap_or_default() {
        assert_eq!(name, "NAME");
    }
}
