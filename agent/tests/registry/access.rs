//! Accounts: who is told which.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::request::{EnvVar, RegistrySettings};
use protocol::{Event, FailureKind};

use crate::clock::{self, HOST};
use crate::fixture::{Client, TestImage};
use crate::stand_in::{Answer, StandIn};

fn basic(account: &str) -> String {
    format!("Basic {}", STANDARD.encode(account))
}

fn asked_for(client: &Client) -> usize {
    let events = client.events.lock().unwrap();
    let asked = events
        .iter()
        .filter(|event| matches!(event, Event::CredentialWanted { .. }));
    asked.count()
}

fn challenge() -> Answer {
    let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}"#;
    Answer::new(401, body).header("WWW-Authenticate", "Basic realm=\"registry\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_asked_for_only_when_the_registry_wants_one() {
    let image = TestImage::new();
    let (open, client) = (image.serve(|_| None), Client::with_account("me", "secret"));
    client
        .pull(&format!("{}/app", open.registry()))
        .await
        .unwrap();
    assert_eq!(asked_for(&client), 0);
    assert!(
        open.asked()
            .iter()
            .all(|asked| asked.authorization.is_none())
    );

    let closed = image.serve(|asked| {
        let known = asked.authorization == Some(basic("me:secret"));
        (!known).then(challenge)
    });
    client
        .pull(&format!("{}/other", closed.registry()))
        .await
        .unwrap();
    assert_eq!(asked_for(&client), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_account_is_told_with_the_next_step() {
    let server = StandIn::start(|_| challenge());
    for client in [Client::new(), Client::with_account("me", "wrong")] {
        let failure = client
            .pull(&format!("{}/app", server.registry()))
            .await
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unauthorized);
        assert!(failure.message.contains("who are you"), "{failure:?}");
        assert!(!format!("{failure:?}").contains("wrong"), "{failure:?}");
        let hint = failure.hint.unwrap();
        assert_eq!(hint, format!("`locald login {}`", server.registry()));
    }
    let server = StandIn::start(|_| Answer::new(403, ""));
    let failure = Client::new()
        .pull(&format!("{}/app", server.registry()))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unauthorized);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_fetched_with_the_account_and_renewed_when_it_ends() {
    let image = TestImage::new();
    let realm: Arc<OnceLock<String>> = Arc::default();
    let known = Arc::clone(&realm);
    let server = image.serve(move |asked| {
        if asked.path.starts_with("/token") {
            let right = asked.authorization == Some(basic("me:secret"));
            let token = format!(r#"{{"token":"t{}"}}"#, asked.before);
            return Some(Answer::new(if right { 200 } else { 401 }, token));
        }
        // The first token is worth one request.
        let old = asked.authorization.as_deref() == Some("Bearer t0");
        let good = match asked.authorization.as_deref() {
            Some("Bearer t0") => asked.path.contains("/manifests/"),
            Some(token) => token.starts_with("Bearer t"),
            None => false,
        };
        let bearer = format!(
            "Bearer realm=\"{}/token\",service=\"registry\",scope=\"repository:app:pull\"",
            known.get().unwrap()
        );
        (!good || (old && asked.before > 1))
            .then(|| Answer::new(401, "").header("WWW-Authenticate", bearer))
    });
    realm.set(format!("http://{}", server.registry())).unwrap();
    let client = Client::with_account("me", "secret");
    client
        .pull(&format!("{}/app", server.registry()))
        .await
        .unwrap();
    assert_eq!(client.extracted(), ["gzip", "plain", "zstd"]);
    let asked = server.asked();
    let tokens = asked.iter().filter(|it| it.path.starts_with("/token"));
    assert!(tokens.clone().count() >= 2);
    assert!(
        tokens
            .clone()
            .all(|it| it.path.contains("scope=repository%3Aapp%3Apull")
                || it.path.contains("scope=repository:app:pull")),
        "{asked:?}"
    );
    // The account itself goes to the token server only.
    let leaks = asked.iter().filter(|it| !it.path.starts_with("/token"));
    assert!(
        leaks
            .clone()
            .all(|it| it.authorization != Some(basic("me:secret")))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_learns_nothing_by_a_redirect() {
    let image = TestImage::new();
    let storage = image.serve(|_| None);
    let target = format!("http://127.0.0.1:{}", storage.address.port());
    let server = image.serve(move |asked| {
        if asked.authorization != Some(basic("me:secret")) {
            return Some(challenge());
        }
        let (_, rest) = asked.path.split_once("/blobs/")?;
        let location = format!("{target}/v2/app/blobs/{rest}");
        Some(Answer::new(307, "").header("Location", location))
    });
    let client = Client::with_account("me", "secret");
    client
        .pull(&format!("{}/app", server.registry()))
        .await
        .unwrap();
    let asked = storage.asked();
    assert!(asked.len() >= 3);
    assert!(
        asked.iter().all(|it| it.authorization.is_none()),
        "{asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_cannot_send_the_account_elsewhere_in_the_clear() {
    // Nobody listens there, and nobody is to be asked.
    let server = StandIn::start(|_| {
        let realm = "Bearer realm=\"ftp://elsewhere.example/token\",service=\"x\"";
        Answer::new(401, "").header("WWW-Authenticate", realm)
    });
    let client = Client::with_account("me", "secret");
    let failure = client
        .pull(&format!("{}/app", server.registry()))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unauthorized, "{failure:?}");
    assert!(server.asked().iter().all(|it| it.authorization.is_none()));
}

/// A token may end while layers are fetched; one that is never good ends the
/// pull.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_in_mid_pull_is_repeated_once() {
    for good_again in [true, false] {
        let image = TestImage::new();
        let realm: Arc<OnceLock<String>> = Arc::default();
        let (known, layer) = (Arc::clone(&realm), image.layer(0));
        let (path, honest) = (layer.clone(), image.clone());
        let server = image.serve(move |asked| {
            if asked.path.starts_with("/token") {
                let token = format!(r#"{{"token":"t{}"}}"#, asked.before);
                return Some(Answer::new(200, token));
            }
            let refuse = || {
                let bearer = format!(
                    "Bearer realm=\"{}/token\",service=\"x\"",
                    known.get().unwrap()
                );
                Some(Answer::new(401, "").header("WWW-Authenticate", bearer))
            };
            match asked.authorization.as_deref() {
                None => refuse(),
                // The connection breaks, and the token has ended meanwhile.
                Some(_) if asked.path.ends_with(&path) && asked.before == 0 => {
                    Some(honest.answer(asked).cut(60_000))
                }
                Some("Bearer t0") if asked.path.ends_with(&path) => refuse(),
                Some(_) if asked.path.ends_with(&path) && !good_again => refuse(),
                Some(_) => None,
            }
        });
        realm.set(format!("http://{}", server.registry())).unwrap();
        let client = Client::with_account("me", "secret");
        let pulled = client.pull(&format!("{}/app", server.registry())).await;
        let tokens = server.asked();
        let tokens = tokens.iter().filter(|it| it.path.starts_with("/token"));
        if good_again {
            pulled.unwrap();
            assert_eq!(client.extracted(), ["gzip", "plain", "zstd"]);
            assert_eq!(tokens.count(), 2);
        } else {
            assert_eq!(pulled.unwrap_err().kind, FailureKind::Unauthorized);
            assert!(tokens.count() <= 4);
        }
    }
}

/// What is asked first and what then, by whom: an account goes only where the
/// challenge that was looked at has named.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_challenge_cannot_send_the_account_elsewhere() {
    let elsewhere = StandIn::start(|_| Answer::new(200, r#"{"token":"t"}"#));
    let address = elsewhere.registry();
    let server = StandIn::start(move |asked| {
        let realm = match asked.path.as_str() {
            "/v2/" | "/v2" => format!("http://{address}/token"),
            _ => "ftp://elsewhere.example/token".to_owned(),
        };
        let bearer = format!("Bearer realm=\"{realm}\",service=\"x\"");
        Answer::new(401, "").header("WWW-Authenticate", bearer)
    });
    let client = Client::with_account("me", "secret");
    let failure = client.pull(&format!("{}/app", server.registry())).await;
    assert_eq!(failure.unwrap_err().kind, FailureKind::Unauthorized);
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_has_an_account_of_its_own() {
    let (mirror, registry) = (
        StandIn::start(|_| challenge()),
        StandIn::start(|_| challenge()),
    );
    let mut client = Client::with_account("me", "secret");
    client.access.registries.push(RegistrySettings {
        name: registry.registry(),
        mirror: Some(format!("http://{}/all/", mirror.registry())),
        insecure: true,
        ca: None,
    });
    let failure = client.pull(&format!("{}/app", registry.registry())).await;
    assert_eq!(failure.unwrap_err().kind, FailureKind::Unauthorized);
    let events = client.events.lock().unwrap();
    let wanted = events.iter().filter_map(|event| match event {
        Event::CredentialWanted { repository } => Some(repository.clone()),
        _ => None,
    });
    assert_eq!(
        wanted.collect::<Vec<_>>(),
        [&mirror, &registry].map(|server| format!("{}/app", server.registry()))
    );
}

/// A registry that speaks https, and a token server that does not.
#[tokio::test(flavor = "multi_thread")]
async fn the_account_does_not_leave_https() {
    let plain = StandIn::start(|_| Answer::new(200, r#"{"token":"t"}"#));
    let realm = format!("Bearer realm=\"http://{}/token\"", plain.address);
    let answer = format!(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: {realm}\r\n\
         Connection: close\r\nContent-Length: 0\r\n\r\n"
    );
    let (port, authority) = clock::server(2020, 2090, answer);
    let mut client = Client::with_account("me", "secret");
    client.access.registries.push(RegistrySettings {
        name: format!("{HOST}:{port}"),
        mirror: None,
        insecure: false,
        ca: Some(authority),
    });
    let failure = client.pull(&format!("{HOST}:{port}/app")).await;
    let failure = failure.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unauthorized, "{failure:?}");
    assert!(plain.asked().is_empty(), "{:?}", plain.asked());
}

/// A registry of the internet, here behind a proxy, and a token server in the
/// network of who asks.
#[tokio::test(flavor = "multi_thread")]
async fn the_account_is_not_sent_into_the_own_network() {
    let inside = StandIn::start(|_| Answer::new(200, r#"{"token":"t"}"#));
    let realm = format!("Bearer realm=\"http://{}/token\"", inside.address);
    let proxy =
        StandIn::start(move |_| Answer::new(401, "").header("WWW-Authenticate", realm.clone()));
    let mut client = Client::with_account("me", "secret");
    let variables = [
        ("HTTP_PROXY", format!("http://{}", proxy.registry())),
        ("NO_PROXY", "127.0.0.1".to_owned()),
    ];
    client.access.proxies = variables
        .map(|(name, value)| EnvVar {
            name: name.to_owned(),
            value,
        })
        .into();
    client.access.registries.push(RegistrySettings {
        name: "registry.example".to_owned(),
        mirror: None,
        insecure: true,
        ca: None,
    });
    let failure = client.pull("registry.example/app").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unauthorized, "{failure:?}");
    assert!(!proxy.asked().is_empty());
    assert!(inside.asked().is_empty(), "{:?}", inside.asked());
}
