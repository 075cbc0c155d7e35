//! Connections that break, and registries that have no time.

use std::time::{Duration, Instant};

use protocol::event::PullEvent;
use protocol::request::RegistrySettings;
use protocol::{Event, FailureKind};

use crate::fixture::{Client, TestImage};
use crate::stand_in::{Answer, StandIn};

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_breaks_is_resumed_where_it_broke() {
    let image = TestImage::new();
    let broken = image.layer(0);
    let (path, honest) = (broken.clone(), image.clone());
    let server = image.serve(move |asked| {
        let breaks = asked.path.ends_with(&path) && asked.before < 2;
        breaks.then(|| honest.answer(asked).cut(70_000))
    });
    let client = Client::new();
    client
        .pull(&format!("{}/app", server.registry()))
        .await
        .unwrap();
    assert_eq!(client.extracted(), ["gzip", "plain", "zstd"]);
    let asked = server.asked();
    let ranges: Vec<_> = asked
        .iter()
        .filter(|it| it.path.ends_with(&broken))
        .map(|it| it.from)
        .collect();
    assert_eq!(ranges, [None, Some(70_000), Some(140_000)]);
    assert!(!client.retries().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_ignores_ranges_starts_anew() {
    let image = TestImage::new();
    let broken = image.layer(0);
    let whole = image.blobs[&broken].clone();
    let server = image.serve(move |asked| {
        asked.path.ends_with(&broken).then(|| {
            let answer = Answer::new(200, whole.clone());
            if asked.before == 0 {
                answer.cut(100_000)
            } else {
                answer
            }
        })
    });
    let client = Client::new();
    client
        .pull(&format!("{}/app", server.registry()))
        .await
        .unwrap();
    assert_eq!(client.extracted(), ["gzip", "plain", "zstd"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_has_no_time_is_asked_again_when_it_says() {
    let image = TestImage::new();
    let server = image.serve(|asked| {
        let busy = asked.path.contains("/manifests/") && asked.before == 0;
        busy.then(|| Answer::new(429, "").header("Retry-After", "1"))
    });
    let (client, start) = (Client::new(), Instant::now());
    client
        .pull(&format!("{}/app", server.registry()))
        .await
        .unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert!(
        client.retries()[0].contains("429"),
        "{:?}",
        client.retries()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_never_has_time_is_given_up() {
    let server = StandIn::start(|_| Answer::new(503, "").header("Retry-After", "0"));
    let client = Client::new();
    let failure = client
        .pull(&format!("{}/app", server.registry()))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Registry);
    assert!(failure.message.contains("503"), "{failure:?}");
    assert!((3..=10).contains(&server.asked().len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_does_not_say_that_a_day_is_waited() {
    let server = StandIn::start(|_| Answer::new(429, "").header("Retry-After", "86400"));
    let (client, name) = (Client::new(), format!("{}/app", server.registry()));
    let told = async {
        while client.retries().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = client.pull(&name) => panic!("{ended:?}"),
        told = tokio::time::timeout(Duration::from_secs(10), told) => told.unwrap(),
    }
    let events = client.events.lock().unwrap();
    let mut pauses = events.iter().filter_map(|event| match event {
        Event::Pull(PullEvent::Retry { millis, .. }) => Some(*millis),
        _ => None,
    });
    assert_eq!(pauses.next(), Some(60_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_asked_for_again() {
    let server = StandIn::start(|_| Answer::new(404, ""));
    let failure = Client::new()
        .pull(&format!("{}/app:1", server.registry()))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotFound);
    assert!(
        failure.message.contains("app:1") || failure.message.contains("1 of"),
        "{failure:?}"
    );
    assert!(server.asked().len() <= 2, "{:?}", server.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_is_asked_first_and_what_it_lacks_is_had_elsewhere() {
    let image = TestImage::new();
    let lacking = image.layer(2);
    let mirror =
        image.serve(move |asked| asked.path.ends_with(&lacking).then(|| Answer::new(404, "")));
    let origin = image.serve(|_| None);
    let mut client = Client::new();
    client.access.registries.push(RegistrySettings {
        name: origin.registry(),
        mirror: Some(format!("http://{}", mirror.registry())),
        insecure: true,
        ca: None,
    });
    client
        .pull(&format!("{}/app", origin.registry()))
        .await
        .unwrap();
    assert_eq!(client.extracted(), ["gzip", "plain", "zstd"]);
    assert!(mirror.asked().len() > 3);
    assert_eq!(origin.asked().len(), 1, "{:?}", origin.asked());
}

/// A range that begins behind what was asked for would leave a gap.
#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_is_shifted_is_not_taken() {
    for shift in [-5_000_isize, 5_000] {
        let image = TestImage::new();
        let shifted = image.layer(0);
        let (path, whole) = (shifted.clone(), image.blobs[&shifted].clone());
        let server = image.serve(move |asked| {
            let length = whole.len();
            asked.path.ends_with(&path).then(|| match asked.from {
                None if asked.before == 0 => Answer::new(200, whole.clone()).cut(100_000),
                None => Answer::new(200, whole.clone()),
                Some(from) => {
                    let from = from.strict_add_signed(shift);
                    let range = format!("bytes {from}-{}/{length}", length - 1);
                    Answer::new(206, &whole[from..]).header("Content-Range", range)
                }
            })
        });
        let client = Client::new();
        let name = format!("{}/app", server.registry());
        client.pull(&name).await.unwrap();
        assert_eq!(client.extracted(), ["gzip", "plain", "zstd"], "{shift}");
        // One that lies about where it begins is found out by the digest.
        let (path, whole) = (shifted.clone(), image.blobs[&shifted].clone());
        let liar = image.serve(move |asked| {
            let length = whole.len();
            asked.path.ends_with(&path).then(|| match asked.from {
                None => Answer::new(200, whole.clone()).cut(100_000),
                Some(from) => {
                    let range = format!("bytes {from}-{}/{length}", length - 1);
                    let begin = from.strict_add_signed(shift).min(length);
                    let end = length.strict_add_signed(shift).min(length);
                    let mut body = whole[begin..end].to_vec();
                    body.resize(length - from, 0);
                    Answer::new(206, body).header("Content-Range", range)
                }
            })
        });
        let client = Client::new();
        let name = format!("{}/app", liar.registry());
        let failure = client.pull(&name).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Integrity, "{failure:?}");
        assert!(!client.extracted().contains(&"gzip".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_falls_silent_is_not_waited_for() {
    let image = TestImage::new();
    let slow = image.layer(0);
    let (path, honest) = (slow.clone(), image.clone());
    let server = image.serve(move |asked| {
        let stalls = asked.path.ends_with(&path) && asked.before == 0;
        stalls.then(|| honest.answer(asked).stalled(50_000))
    });
    let mut client = Client::new();
    client.idle = Duration::from_millis(300);
    let name = format!("{}/app", server.registry());
    client.pull(&name).await.unwrap();
    assert_eq!(client.extracted(), ["gzip", "plain", "zstd"]);
    let asked = server.asked();
    let mut resumed = asked.iter().filter(|it| it.path.ends_with(&slow));
    assert_eq!(resumed.next_back().unwrap().from, Some(50_000));
    // One that says nothing at all.
    let server = image.serve(|asked| {
        let silent = asked.path.contains("/manifests/");
        silent.then(|| Answer::new(200, "{}").stalled(0))
    });
    let failure = client
        .pull(&format!("{}/app", server.registry()))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Registry, "{failure:?}");
}

/// Docker's "foreign layers" name other servers; nobody asks those.
#[tokio::test(flavor = "multi_thread")]
async fn urls_of_layers_are_not_followed() {
    let elsewhere = StandIn::start(|_| Answer::new(200, "harm"));
    let mut image = TestImage::new();
    let url = format!("http://{}/layer", elsewhere.registry());
    image.manifest["layers"][1]["urls"] = serde_json::json!([url]);
    let lacking = image.layer(1);
    let server = image.serve(move |asked| {
        let lacks = asked.path.ends_with(&lacking);
        lacks.then(|| Answer::new(404, ""))
    });
    let client = Client::new();
    let name = format!("{}/app", server.registry());
    let failure = client.pull(&name).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotFound, "{failure:?}");
    assert!(elsewhere.asked().is_empty());
}

/// Informational answers (103, early hints) come before the answer.
#[tokio::test(flavor = "multi_thread")]
async fn an_informational_answer_is_not_the_answer() {
    let hints: [&[&str]; 4] = [
        &["HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"],
        &["HTTP/1.1 103 Early Hints\r\nContent-Length: 20\r\n\r\n"],
        &["HTTP/1.1 103 Ea", "rly Hints\r\n\r", "\n"],
        &[
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n",
        ],
    ];
    for pieces in hints {
        let image = TestImage::new();
        let honest = image.clone();
        let server = image.serve(move |asked| Some(honest.answer(asked).after(pieces)));
        let mut client = Client::new();
        client.idle = Duration::from_secs(5);
        let name = format!("{}/app", server.registry());
        client.pull(&name).await.unwrap();
        assert_eq!(client.retries(), <[&str; 0]>::default(), "{pieces:?}");
    }
}
