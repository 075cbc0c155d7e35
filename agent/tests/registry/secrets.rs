//! Accounts and tokens stay with whom they belong to, wherever a request is
//! led.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::FailureKind;

use crate::fixture::{Client, TestImage, accept};
use crate::stand_in::{Answer, Asked, StandIn};

fn basic() -> String {
    format!("Basic {}", STANDARD.encode("me:secret"))
}

fn unauthorized(challenge: &str) -> Answer {
    Answer::new(401, "").header("WWW-Authenticate", challenge)
}

/// Wants the account first.
fn guarded(asked: &Asked, answer: impl FnOnce() -> Answer) -> Answer {
    if asked.authorization == Some(basic()) {
        answer()
    } else {
        unauthorized("Basic realm=\"registry\"")
    }
}

/// Nothing that a server was asked holds a secret.
fn assert_told_nothing(server: &StandIn) {
    let asked = server.asked();
    assert!(!asked.is_empty());
    for asked in asked {
        assert_eq!(asked.authorization, None, "{} {}", asked.method, asked.path);
        let body = String::from_utf8_lossy(&asked.body).into_owned();
        assert!(!body.contains("secret"), "{body}");
    }
}

/// Another port of the same host, as an object store beside a registry has.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_elsewhere_go_without_the_account() {
    let image = TestImage::new();
    let source = image.serve(|_| None);
    for redirected in [false, true] {
        let storage = StandIn::start(|_| Answer::new(201, ""));
        let elsewhere = format!("http://other:word@{}/store", storage.registry());
        let registry = StandIn::start(move |asked| {
            guarded(asked, || match asked.line() {
                // The address is the registry's, and leads away.
                ("PUT", path) if path.contains("/uploads/") => {
                    Answer::new(307, "").header("Location", &elsewhere)
                }
                _ if redirected => accept(asked, "/v2/app/blobs/uploads/1"),
                _ => accept(asked, &elsewhere),
            })
        });
        let client = Client::with_account("me", "secret");
        let from = format!("{}/app", source.registry());
        let to = format!("{}/app", registry.registry());
        client.copy(&from, &to).await.unwrap();
        assert_told_nothing(&storage);
        let bodies = storage.asked().into_iter().map(|asked| asked.body.len());
        let expected: usize = image.blobs.values().map(Vec::len).sum();
        assert_eq!(bodies.sum::<usize>(), expected);
    }
}

/// Who answers in the registry's place asks for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_of_another_host_is_not_met() {
    let tokens = StandIn::start(|_| Answer::new(200, r#"{"token":"t"}"#));
    for (name, kind) in [("manifests", "app"), ("blobs", "layer")] {
        let bearer = format!("Bearer realm=\"http://{}/token\"", tokens.registry());
        let thief = StandIn::start(move |_| {
            unauthorized("Basic realm=\"x\"").header("WWW-Authenticate", bearer.clone())
        });
        let target = format!("http://{}/stolen", thief.registry());
        let image = TestImage::new();
        let honest = image.clone();
        let registry = StandIn::start(move |asked| {
            guarded(asked, || {
                if asked.path.contains(name) {
                    Answer::new(302, "").header("Location", &target)
                } else {
                    honest.answer(asked)
                }
            })
        });
        let client = Client::with_account("me", "secret");
        let pulled = client.pull(&format!("{}/app", registry.registry())).await;
        let failure = pulled.unwrap_err();
        assert_told_nothing(&thief);
        assert!(tokens.asked().is_empty(), "{:?}", tokens.asked());
        // A login would not help.
        assert_eq!(failure.kind, FailureKind::Registry, "{kind}: {failure:?}");
        assert!(failure.message.contains("leads"), "{failure:?}");
        assert_eq!(failure.hint, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leads_back_to_the_registry_does_not_lose_the_account() {
    let image = TestImage::new();
    let address: Arc<OnceLock<String>> = Arc::default();
    let known = Arc::clone(&address);
    let detour = StandIn::start(move |asked| {
        let back = format!("http://{}{}?back", known.get().unwrap(), asked.path);
        Answer::new(308, "").header("Location", back)
    });
    let away = format!("http://{}", detour.registry());
    let registry = image.clone();
    let registry = StandIn::start(move |asked| {
        guarded(asked, || match asked.path.strip_suffix("?back") {
            Some(path) => registry.answer(&Asked {
                path: path.to_owned(),
                ..asked.clone()
            }),
            None => Answer::new(301, "").header("Location", format!("{away}{}", asked.path)),
        })
    });
    address.set(registry.registry()).unwrap();
    let client = Client::with_account("me", "secret");
    let name = format!("{}/app", registry.registry());
    client.pull(&name).await.unwrap();
    assert_told_nothing(&detour);
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_end() {
    let registry = StandIn::start(|_| Answer::new(302, "").header("Location", "/v2/again"));
    let (client, name) = (Client::new(), format!("{}/app", registry.registry()));
    let failure = client.pull(&name).await.unwrap_err();
    assert!(failure.causes[0].contains("without end"), "{failure:?}");
    assert!(registry.asked().len() < 20);
}

/// A token server is who the registry has named, and nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_server_cannot_pass_the_account_on() {
    for status in [301, 302, 303, 307, 308] {
        for client in [
            Client::with_account("me", "secret"),
            Client::with_identity("secret"),
        ] {
            let elsewhere = StandIn::start(|_| Answer::new(401, ""));
            let target = format!("http://{}/token", elsewhere.registry());
            let address: Arc<OnceLock<String>> = Arc::default();
            let known = Arc::clone(&address);
            let registry = StandIn::start(move |asked| {
                if asked.path.starts_with("/token") {
                    return Answer::new(status, "").header("Location", &target);
                }
                let realm = format!("http://{}/token", known.get().unwrap());
                unauthorized(&format!("Bearer realm=\"{realm}\""))
            });
            address.set(registry.registry()).unwrap();
            let name = format!("{}/app", registry.registry());
            let failure = client.pull(&name).await.unwrap_err();
            let asked = elsewhere.asked();
            let told = |it: &Asked| it.authorization.is_some() || !it.body.is_empty();
            assert!(!asked.iter().any(told), "{status}: {asked:?}");
            assert!(
                matches!(
                    failure.kind,
                    FailureKind::Unauthorized | FailureKind::Registry
                ),
                "{failure:?}"
            );
            // The server itself was told.
            let asked = registry.asked();
            let mut tokens = asked.iter().filter(|it| it.path.starts_with("/token"));
            assert!(tokens.any(told), "{asked:?}");
        }
    }
}
