//! Content that is, or is not, what it claims to be.

use agent::digest::Digest;
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
        |it| it["config"]["mediaType"] = "text/html".into(),
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
