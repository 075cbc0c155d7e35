//! Content that is, or is not, what it claims to be.

use agent::images::digest::Digest;
use agent::store::Descriptor;
use protocol::FailureKind;
use serde_json::{Value, json};

use crate::fixture::{Client, MANIFEST, TestImage, go_name};
use crate::stand_in::{Answer, StandIn};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An image in an index.
fn entry(image: &TestImage, architecture: &str) -> Value {
    let manifest = image.manifest.to_string();
    json!({
        "mediaType": MANIFEST,
        "digest": Digest::of(manifest.as_bytes()).to_string(),
        "size": manifest.len(),
        "platform": {"os": "linux", "architecture": architecture},
    })
}

async fn refused(image: &TestImage) -> protocol::Failure {
    let (server, client) = (image.serve(|_| None), Client::new());
    let name = format!("{}/app", server.registry());
    client.pull(&name).await.unwrap_err()
}

/// Why an image is refused, one of whose blobs is another than its digest says.
async fn refused_for(
    client: &Client,
    image: &TestImage,
    digest: &str,
    other: Vec<u8>,
) -> protocol::Failure {
    let path = digest.to_owned();
    let server = image.serve(move |asked| {
        let wanted = asked.path.ends_with(&path);
        wanted.then(|| Answer::new(200, other.clone()))
    });
    let name = format!("{}/app", server.registry());
    client.pull(&name).await.unwrap_err()
}

fn all(failure: &protocol::Failure) -> String {
    [vec![failure.message.clone()], failure.causes.clone()]
        .concat()
        .join(": ")
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_of_each_compression_are_extracted() {
    let image = TestImage::new();
    let (server, client) = (image.serve(|_| None), Client::new());
    let digest = client
        .pull(&format!("{}/app", server.registry()))
        .await
        .unwrap();
    assert_eq!(digest, Digest::of(image.manifest.to_string().as_bytes()));
    assert_eq!(client.extracted(), ["gzip", "plain", "zstd"]);
    // Everything is there: only the name is asked for again.
    let before = server.asked().len();
    client
        .pull(&format!("{}/app", server.registry()))
        .await
        .unwrap();
    let again = server.asked()[before..].to_vec();
    assert!(
        again.iter().all(|asked| asked.path.contains("/manifests/")),
        "{again:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_with_another_digest_is_thrown_away() {
    let image = TestImage::new();
    let wrong = image.layer(1);
    let path = wrong.clone();
    let length = image.blobs[&wrong].len();
    let server = image.serve(move |asked| {
        asked
            .path
            .ends_with(&path)
            .then(|| Answer::new(200, vec![b'x'; length]))
    });
    let client = Client::new();
    let name = format!("{}/app", server.registry());
    let failure = client.pull(&name).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Integrity, "{failure:?}");
    assert!(all(&failure).contains(&wrong), "{failure:?}");
    assert!(!client.has_blob(&wrong));
    assert!(!client.extracted().contains(&"zstd".to_owned()));
    let honest = image.serve(|_| None);
    client
        .pull(&format!("{}/app", honest.registry()))
        .await
        .unwrap();
    assert_eq!(client.extracted(), ["gzip", "plain", "zstd"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_is_longer_or_shorter_than_announced_is_refused() {
    for change in [-1_i64, 1] {
        let mut image = TestImage::new();
        let size = image.manifest["layers"][2]["size"].as_i64().unwrap();
        image.manifest["layers"][2]["size"] = (size + change).into();
        let failure = refused(&image).await;
        assert!(
            matches!(failure.kind, FailureKind::Integrity | FailureKind::Registry),
            "{failure:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_with_another_diff_id_is_refused() {
    let other = format!("sha256:{}", "0".repeat(64));
    let image = TestImage::new().with_config(|config| {
        config["rootfs"]["diff_ids"][0] = other.clone().into();
    });
    let failure = refused(&image).await;
    assert_eq!(failure.kind, FailureKind::Integrity);
    assert!(all(&failure).contains(&other), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_pulled_by_digest_must_have_it() {
    let (server, client) = (TestImage::new().serve(|_| None), Client::new());
    let name = format!("{}/app@sha256:{}", server.registry(), "0".repeat(64));
    let failure = client.pull(&name).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Integrity, "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_lie_are_refused() {
    let changes: [fn(&mut Value); 9] = [
        |it| it["layers"][0]["size"] = (-1).into(),
        |it| it["layers"] = json!([]),
        |it| it["layers"].as_array_mut().unwrap().truncate(2),
        |it| it["layers"][0]["digest"] = "sha256:../../../etc/passwd".into(),
        |it| it["layers"][0]["mediaType"] = "text/html".into(),
        |it| it["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json".into(),
        |it| it["manifests"] = json!([]),
        |it| it["schemaVersion"] = 1.into(),
        |it| it["mediaType"] = "text/html".into(),
    ];
    for change in changes {
        let mut image = TestImage::new();
        change(&mut image.manifest);
        let failure = refused(&image).await;
        assert!(
            matches!(failure.kind, FailureKind::Integrity | FailureKind::Registry),
            "{}: {failure:?}",
            image.manifest
        );
    }
    for nonsense in ["", "{}", "null", "[", "<html>"] {
        let server = StandIn::start(move |_| Answer::new(200, nonsense));
        let failure = Client::new()
            .pull(&format!("{}/app", server.registry()))
            .await;
        assert!(failure.is_err(), "{nonsense:?}");
    }
    let server = StandIn::start(|_| Answer::new(200, vec![b' '; 8 * 1024 * 1024]));
    let failure = Client::new()
        .pull(&format!("{}/app", server.registry()))
        .await;
    assert!(failure.unwrap_err().message.contains("4 MiB"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_for_another_machine_names_both() {
    let failure = refused(&TestImage::for_platform("linux", "s390x")).await;
    assert_eq!(failure.kind, FailureKind::Platform, "{failure:?}");
    let here = TestImage::new();
    let digest = here.manifest["config"]["digest"].as_str().unwrap();
    let config: Value = serde_json::from_slice(&here.blobs[digest]).unwrap();
    let ours = config["architecture"].as_str().unwrap();
    assert!(
        failure.message.contains("s390x") && failure.message.contains(ours),
        "{failure:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_leads_to_the_image_for_this_machine() {
    let (here, other) = (TestImage::new(), TestImage::for_platform("linux", "s390x"));
    let index_of = |entries: Vec<Value>| {
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string()
    };
    let both = index_of(vec![
        entry(&other, "s390x"),
        entry(&here, go_name(std::env::consts::ARCH)),
    ]);
    let only_other = index_of(vec![entry(&other, "s390x")]);
    for (index, expected) in [(both, true), (only_other, false)] {
        let server = here.serve(move |asked| {
            asked
                .path
                .ends_with("/manifests/latest")
                .then(|| Answer::new(200, index.clone()).header("Content-Type", INDEX))
        });
        let pulled = Client::new()
            .pull(&format!("{}/app", server.registry()))
            .await;
        match pulled {
            Ok(digest) => {
                assert!(expected);
                assert_eq!(digest, Digest::of(here.manifest.to_string().as_bytes()));
            }
            Err(failure) => {
                assert!(!expected, "{failure:?}");
                assert_eq!(failure.kind, FailureKind::Platform, "{failure:?}");
                assert!(failure.message.contains("s390x"), "{failure:?}");
            }
        }
    }
}

/// The same files, packed by somebody else: the blob is not the one that was
/// asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_blob_with_another_digest_is_refused_though_its_files_are_the_same() {
    let image = TestImage::new();
    let gzip = image.layer(0);
    let mut other = image.blobs[&gzip].clone();
    // The system that packed it (RFC 1952, "OS").
    other[9] ^= 1;
    let failure = refused_for(&Client::new(), &image, &gzip, other).await;
    assert_eq!(failure.kind, FailureKind::Integrity, "{failure:?}");
    assert!(all(&failure).contains(&gzip), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_with_another_digest_is_refused() {
    let image = TestImage::new();
    let config = image.manifest["config"]["digest"].as_str().unwrap();
    let (config, mut other) = (config.to_owned(), image.blobs[config].clone());
    // It says the same.
    other.push(b' ');
    let client = Client::new();
    let failure = refused_for(&client, &image, &config, other).await;
    assert_eq!(failure.kind, FailureKind::Integrity, "{failure:?}");
    assert!(all(&failure).contains(&config), "{failure:?}");
    assert!(client.extracted().is_empty());
}

/// As a push, an export and a repair fetch what the store lacks.
#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_only_stored_must_have_its_digest_too() {
    let image = TestImage::new();
    let layer: Descriptor = serde_json::from_value(image.manifest["layers"][0].clone()).unwrap();
    let mut other = image.blobs[&image.layer(0)].clone();
    other[9] ^= 1;
    let server = image.serve(move |_| Some(Answer::new(200, other.clone())));
    let client = Client::new();
    let name = format!("{}/app", server.registry()).parse().unwrap();
    let fetched = client
        .registry()
        .fetch_blob(&client.store, &name, &layer)
        .await;
    let failure = protocol::Failure::from(fetched.unwrap_err());
    assert_eq!(failure.kind, FailureKind::Integrity, "{failure:?}");
    assert!(client.store.blobs().unwrap().is_empty());
}

/// What one reads as an index and another as an image is neither.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_with_layers_is_refused() {
    let image = TestImage::new();
    let mut both = image.manifest.clone();
    both["mediaType"] = INDEX.into();
    both["manifests"] = json!([entry(&image, go_name(std::env::consts::ARCH))]);
    let server = image.serve(move |asked| {
        let named = asked.path.ends_with("/manifests/latest");
        named.then(|| Answer::new(200, both.to_string()).header("Content-Type", INDEX))
    });
    let pulled = Client::new()
        .pull(&format!("{}/app", server.registry()))
        .await;
    let failure = pulled.unwrap_err();
    assert!(failure.message.contains("at once"), "{failure:?}");
}

/// A registry's index, and what is pulled by its name.
async fn pulled_of(images: &[&TestImage], index: Value) -> Result<Digest, protocol::Failure> {
    let images: Vec<TestImage> = images.iter().copied().cloned().collect();
    let server = StandIn::start(move |asked| {
        let (_, version) = asked.path.rsplit_once('/').unwrap();
        let digest = |it: &&TestImage| Digest::of(it.manifest.to_string().as_bytes()).to_string();
        if version == "latest" {
            return Answer::new(200, index.to_string()).header("Content-Type", INDEX);
        }
        let blob = |it: &&TestImage| it.blobs.contains_key(version) || digest(it) == version;
        match images.iter().find(blob) {
            Some(image) => image.answer(asked),
            None => Answer::new(404, ""),
        }
    });
    Client::new()
        .pull(&format!("{}/app", server.registry()))
        .await
}

fn digest_of(image: &TestImage) -> Digest {
    Digest::of(image.manifest.to_string().as_bytes())
}

fn index_of(entries: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_index_the_best_image_for_this_processor_is_taken() {
    let arch = go_name(std::env::consts::ARCH);
    let marked = |mark: &str| TestImage::new().with_config(|it| it["author"] = mark.into());
    let (plain, other) = (marked("plain"), marked("other"));
    let with = |image: &TestImage, platform: Value| {
        let mut entry = entry(image, arch);
        entry["platform"] = platform;
        entry
    };
    let without = |image: &TestImage| {
        let mut entry = entry(image, arch);
        entry.as_object_mut().unwrap().remove("platform");
        entry
    };
    let named = |variant: &str| json!({"os": "linux", "architecture": arch, "variant": variant});
    let base = entry(&plain, arch);
    let indexes = [
        // Made for a processor that nobody has.
        vec![with(&other, named("v200")), base.clone()],
        vec![with(&other, named("odd")), base.clone()],
        vec![with(&other, json!({})), base.clone()],
        vec![with(&other, Value::Null), base.clone()],
        vec![
            with(&other, json!({"os": null, "architecture": arch})),
            base.clone(),
        ],
        vec![without(&other), base.clone()],
        vec![
            json!({"digest": "sha512:00", "size": -1}),
            json!(7),
            base.clone(),
        ],
        // The first of equal ones.
        vec![base.clone(), entry(&other, arch)],
        // Without any machine, as other clients take it.
        vec![without(&plain), without(&other)],
        vec![entry(&other, "s390x"), without(&plain)],
    ];
    for entries in indexes {
        let index = index_of(&entries);
        let pulled = pulled_of(&[&plain, &other], index.clone()).await;
        assert_eq!(pulled.unwrap(), digest_of(&plain), "{index}");
    }
    // An index that does not say that it is one, but in a header.
    let mut index = index_of(std::slice::from_ref(&base));
    index.as_object_mut().unwrap().remove("mediaType");
    pulled_of(&[&plain], index).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_many_other_machines_is_told_in_short() {
    let image = TestImage::new();
    let entries = |number| entry(&image, &format!("made-up-{number}"));
    let index = index_of(&(0..10_000).map(entries).collect::<Vec<_>>());
    let failure = pulled_of(&[&image], index).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Platform, "{failure:?}");
    assert!(failure.message.contains("linux/made-up-0, "), "{failure:?}");
    assert!(failure.message.contains("and 9980 more"), "{failure:?}");
    assert!(failure.message.len() < 1000);
}

/// The digest says what a layer is, whatever its type says.
#[tokio::test(flavor = "multi_thread")]
async fn a_layer_with_another_compression_than_its_type_says_is_taken() {
    let mut image = TestImage::new();
    let types: Vec<Value> = (0..3)
        .map(|number| image.manifest["layers"][number]["mediaType"].clone())
        .collect();
    for (number, other) in [(0, 2), (1, 0), (2, 1)] {
        image.manifest["layers"][number]["mediaType"] = types[other].clone();
    }
    let (server, client) = (image.serve(|_| None), Client::new());
    let name = format!("{}/app", server.registry());
    client.pull(&name).await.unwrap();
    assert_eq!(client.extracted(), ["gzip", "plain", "zstd"]);
}

/// As buildpacks are packaged, and as old registries made it.
#[tokio::test(flavor = "multi_thread")]
async fn documents_may_leave_out_what_nobody_needs() {
    let changes: [fn(&mut Value); 3] = [
        |config| config["architecture"] = "".into(),
        |config| {
            config.as_object_mut().unwrap().remove("architecture");
            config.as_object_mut().unwrap().remove("os");
        },
        |config| config["config"]["Labels"] = json!({"a": null}),
    ];
    for change in changes {
        let mut image = TestImage::new().with_config(change);
        image.manifest["config"]["mediaType"] = "application/octet-stream".into();
        image.manifest["mediaType"] = "".into();
        let (server, client) = (image.serve(|_| None), Client::new());
        let name = format!("{}/app", server.registry());
        client.pull(&name).await.unwrap();
    }
}
