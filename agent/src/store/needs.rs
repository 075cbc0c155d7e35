//! Lists the blobs and layers that the references of the store need.
//!
//! A document that cannot be read may need any content. Then locald removes
//! nothing.

use std::collections::HashSet;

use serde::Deserialize as _;
use serde_json::Value;

use super::{DOCUMENT_CAP, Descriptor, Store, StoreError};
use crate::images::digest::{DiffId, Digest};
use crate::images::media_type;

/// Members of documents that name other documents: OCI image specification,
/// "Image Index" and "Image Manifest".
const DOCUMENTS: [&str; 2] = ["manifests", "subject"];

/// Something that takes space and may be shared by images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Content {
    /// A blob.
    Blob(Digest),
    /// The tree of a layer.
    Layer(DiffId),
}

/// All content that a reference may need.
pub type Needs = HashSet<Content>;

impl Store {
    /// The content that all references need. Fails if locald cannot determine
    /// this for one of them.
    pub fn needs_of_all(&self) -> Result<Needs, StoreError> {
        let index = self.read_index()?;
        let mut needs = self.needs_of_foreign()?;
        for image in &index.images {
            let of_image = self.needs(&image.descriptor);
            needs.extend(of_image.map_err(|error| doubt(&image.name, error))?);
        }
        Ok(needs)
    }

    /// The content that entries of other tools in the index need.
    pub fn needs_of_foreign(&self) -> Result<Needs, StoreError> {
        let mut needs = Needs::new();
        for entry in self.read_index()?.foreign {
            let named = entry["digest"].as_str().unwrap_or("an entry of index.json");
            let found = Descriptor::deserialize(&entry)
                .map_err(|error| StoreError::Entry(error.to_string()))
                .and_then(|descriptor| self.needs(&descriptor));
            needs.extend(found.map_err(|error| doubt(named, error))?);
        }
        Ok(needs)
    }

    /// The content that an entry of the index needs. The entry may be an image,
    /// an index of images, or content of an unknown kind.
    pub fn needs(&self, descriptor: &Descriptor) -> Result<Needs, StoreError> {
        let mut needs = Needs::new();
        self.add_document(&descriptor.digest, &mut needs)?;
        Ok(needs)
    }

    /// The needed content that locald can determine, without an error.
    pub fn known_needs(&self, descriptor: &Descriptor) -> Needs {
        let mut needs = Needs::new();
        let _ = self.add_document(&descriptor.digest, &mut needs);
        needs
    }

    fn add_document(&self, digest: &Digest, needs: &mut Needs) -> Result<(), StoreError> {
        if !needs.insert(Content::Blob(*digest)) {
            return Ok(());
        }
        // A larger blob is not a document.
        if self
            .blob_size(digest)
            .is_some_and(|size| size > DOCUMENT_CAP)
        {
            return Ok(());
        }
        let bytes = self.read_blob(digest, DOCUMENT_CAP)?;
        let Ok(document) = serde_json::from_slice::<Value>(&bytes) else {
            return Ok(());
        };
        let mut named = Vec::new();
        digests(&document, &mut named);
        needs.extend(named.into_iter().map(Content::Blob));
        for member in DOCUMENTS {
            let mut named = Vec::new();
            digests(&document[member], &mut named);
            // An index may name images that locald never pulled.
            for digest in named.iter().filter(|digest| self.has_blob(digest)) {
                needs.remove(&Content::Blob(*digest));
                self.add_document(digest, needs)?;
            }
        }
        self.add_layers(&document, needs)
    }

    /// Adds the layers that a configuration names by their diffIDs.
    fn add_layers(&self, document: &Value, needs: &mut Needs) -> Result<(), StoreError> {
        let config = Descriptor::deserialize(&document["config"]);
        let types = [media_type::CONFIG, media_type::DOCKER_CONFIG];
        let config = config.ok().filter(|it| types.contains(&&*it.media_type));
        if let Some(Descriptor { digest, .. }) = config {
            let bytes = self.read_blob(&digest, DOCUMENT_CAP)?;
            let config: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let diff_ids = config["rootfs"]["diff_ids"]
                .as_array()
                .into_iter()
                .flatten();
            let diff_ids = diff_ids.filter_map(|it| DiffId::deserialize(it).ok());
            needs.extend(diff_ids.map(Content::Layer));
        }
        Ok(())
    }
}

/// All digests that a document names anywhere.
fn digests(document: &Value, found: &mut Vec<Digest>) {
    match document {
        Value::Array(values) => values.iter().for_each(|value| digests(value, found)),
        Value::Object(members) => {
            let own = members.get("digest").and_then(Value::as_str);
            found.extend(own.and_then(|text| text.parse::<Digest>().ok()));
            members.values().for_each(|value| digests(value, found));
        }
        _ => {}
    }
}

fn doubt(reference: &str, source: StoreError) -> StoreError {
    StoreError::UnknownNeeds {
        reference: reference
            .parse::<crate::images::reference::ImageRef>()
            .map_or_else(|_| reference.to_owned(), |name| name.familiar()),
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use protocol::event::ImageRole;
    use serde_json::json;

    use super::*;
    use crate::store::StoredImage;

    fn described(kind: &str, digest: Digest) -> Value {
        json!({"mediaType": kind, "digest": digest, "size": 1})
    }

    /// Stores an image with one layer; returns its manifest, configuration,
    /// layer and diffID.
    fn image(store: &Store, content: &str) -> (Digest, Digest, Digest, DiffId) {
        let write = |bytes: &[u8]| store.write_blob(bytes).unwrap();
        let layer = write(content.as_bytes());
        let diff_id = DiffId(Digest::of(content.as_bytes()));
        fs_err::create_dir(store.layer_path(&diff_id)).unwrap();
        let config = json!({"rootfs": {"type": "layers", "diff_ids": [diff_id]}});
        let config = write(config.to_string().as_bytes());
        let manifest = json!({
            "schemaVersion": 2,
            "config": described(media_type::CONFIG, config),
            "layers": [described(media_type::LAYER, layer)],
        });
        (
            write(manifest.to_string().as_bytes()),
            config,
            layer,
            diff_id,
        )
    }

    fn descriptor(kind: &str, digest: Digest) -> Descriptor {
        Descriptor::deserialize(described(kind, digest)).unwrap()
    }

    fn name(store: &Store, digest: Digest) {
        let descriptor = descriptor(media_type::MANIFEST, digest);
        let image = StoredImage::now("localhost:1/built:latest", descriptor, ImageRole::Other);
        store.set_images(&[image]).unwrap();
    }

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        (directory, store)
    }

    #[test]
    fn a_sweep_stops_at_whatever_document_it_cannot_read() {
        let damages: [fn(&std::path::Path); 4] = [
            |path| fs_err::write(path, "other").unwrap(),
            |path| fs_err::write(path, "").unwrap(),
            |path| fs_err::remove_file(path).unwrap(),
            // Stands in for a failed disk: a read of a directory fails.
            |path| {
                fs_err::remove_file(path).unwrap();
                fs_err::create_dir(path).unwrap();
            },
        ];
        for damage in damages {
            for which in [0, 1] {
                let (_directory, store) = store();
                let (manifest, config, layer, diff_id) = image(&store, "built");
                name(&store, manifest);
                let garbage = store.write_blob(b"garbage").unwrap();
                damage(&store.blob_path(&[manifest, config][which]));
                let error = store.sweep().unwrap_err();
                let StoreError::UnknownNeeds { reference, .. } = &error else {
                    panic!("{error}");
                };
                assert_eq!(reference, "localhost:1/built");
                assert!(store.has_blob(&layer) && store.has_layer(&diff_id));
                assert!(store.has_blob(&garbage));
                // Without its reference the image needs no content.
                let names = ["localhost:1/built:latest".to_owned()];
                store.remove_images(&names).unwrap();
                store.sweep().unwrap();
                assert!(!store.has_blob(&layer) && !store.has_layer(&diff_id));
            }
        }
    }

    #[test]
    fn what_other_tools_have_added_is_kept_with_all_that_it_needs() {
        let (_directory, store) = store();
        let (manifest, config, layer, diff_id) = image(&store, "in an index");
        let nested = json!({"schemaVersion": 2, "manifests": [
            described(media_type::MANIFEST, manifest),
            described(media_type::MANIFEST, Digest::of(b"of another platform")),
        ]});
        let nested = store.write_blob(nested.to_string().as_bytes()).unwrap();
        let signature = store.write_blob(b"a signature").unwrap();
        let artifact = json!({
            "schemaVersion": 2,
            "artifactType": "application/vnd.example",
            "blobs": [described("application/vnd.example.signature", signature)],
            "subject": described(media_type::MANIFEST, manifest),
        });
        let artifact = store.write_blob(artifact.to_string().as_bytes()).unwrap();
        let plain = store.write_blob(b"neither JSON nor text: \xff").unwrap();
        let index = json!({"schemaVersion": 2, "manifests": [
            described(media_type::INDEX, nested),
            described("application/vnd.example+json", artifact),
            described("application/octet-stream", plain),
        ]});
        fs_err::write(store.root().join("index.json"), index.to_string()).unwrap();
        name(&store, image(&store, "named").0);
        let garbage = store.write_blob(b"garbage").unwrap();
        store.sweep().unwrap();
        for kept in [nested, manifest, config, layer, artifact, signature, plain] {
            assert!(store.has_blob(&kept));
        }
        assert!(store.has_layer(&diff_id) && !store.has_blob(&garbage));
        let bytes = fs_err::read(store.root().join("index.json")).unwrap();
        let written: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(written["manifests"].as_array().unwrap().len(), 4);
        // An entry that locald cannot parse may need any content.
        let odd = json!({"schemaVersion": 2, "manifests": [{"digest": "sha512:00"}]});
        fs_err::write(store.root().join("index.json"), odd.to_string()).unwrap();
        assert!(matches!(
            store.sweep(),
            Err(StoreError::UnknownNeeds { .. })
        ));
    }
}
