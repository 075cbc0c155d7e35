//! Images whose documents no tool writes so.

use std::path::Path;

use serde_json::{Value, json};

use crate::busybox::{archive, program};
use crate::{Reader, registry, sha256};

/// An image in the registry: busybox, layers above it, the lowest first, and this
/// `config` of its configuration.
pub fn crafted(name: &str, config: &Value, layers: &[&Path]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout(folder.path().join("layout").display().to_string());
    fs_err::create_dir_all(format!("{}/blobs/sha256", layout.0)).unwrap();
    let root = archive(folder.path(), &program("busybox"));
    let layers = std::iter::once(&*root).chain(layers.iter().copied());
    let layers: Vec<Value> = layers
        .map(|layer| layout.blob("layer.v1.tar", layer))
        .collect();
    let diff_ids: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
    let config = json!({
        "os": "linux", "architecture": "amd64", "config": config,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": layout.document("config.v1+json", &config), "layers": layers,
    });
    let manifest = layout.document("manifest.v1+json", &manifest);
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs_err::write(format!("{}/index.json", layout.0), index.to_string()).unwrap();
    let version = r#"{"imageLayoutVersion":"1.0.0"}"#;
    fs_err::write(format!("{}/oci-layout", layout.0), version).unwrap();
    let name = format!("{}/test/{name}", registry());
    Reader("crane").run(&["push", "--insecure", &layout.0, &name]);
    name
}

/// An OCI image layout.
struct Layout(String);

impl Layout {
    /// The descriptor of a file, which is copied there.
    fn blob(&self, kind: &str, file: &Path) -> Value {
        let digest = sha256(file);
        let blob = format!("{}/blobs/sha256/{digest}", self.0);
        let size = fs_err::copy(file, blob).unwrap();
        let kind = format!("application/vnd.oci.image.{kind}");
        json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": size})
    }

    fn document(&self, kind: &str, document: &Value) -> Value {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), document.to_string()).unwrap();
        self.blob(kind, file.path())
    }
}
