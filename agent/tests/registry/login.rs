//! How registries ask for an account, and what their token servers answer.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use protocol::FailureKind;

use crate::fixture::{Client, TestImage};
use crate::stand_in::{Answer, Asked, StandIn};

/// A registry whose token server is at `/token` of the same address. Every
/// `{}` in its challenges is that address.
fn registry(
    challenges: &'static [&'static str],
    token: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
) -> StandIn {
    let address: Arc<OnceLock<String>> = Arc::default();
    let known = Arc::clone(&address);
    let server = TestImage::new().serve(move |asked| {
        if asked.path.starts_with("/token") {
            return Some(token(asked));
        }
        if asked.authorization.as_deref() == Some("Bearer right") {
            return None;
        }
        let mut answer = Answer::new(401, "");
        for challenge in challenges {
            let challenge = challenge.replace("{}", known.get().unwrap());
            answer = answer.header("WWW-Authenticate", challenge);
        }
        Some(answer)
    });
    address
        .set(format!("http://{}", server.registry()))
        .unwrap();
    server
}

fn right(_: &Asked) -> Answer {
    Answer::new(200, r#"{"token":"right"}"#)
}

const BEARER: &[&str] = &["Bearer realm=\"{}/token\",service=\"r\""];

async fn pull(client: &Client, server: &StandIn) -> Result<(), protocol::Failure> {
    let pulled = client.pull(&format!("{}/app", server.registry())).await;
    pulled.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_is_found_among_others() {
    let cases: [&'static [&'static str]; 5] = [
        &[
            "Negotiate",
            "Basic realm=\"x\"",
            "Bearer realm=\"{}/token\"",
        ],
        &["Negotiate, Basic realm=\"x\", Bearer realm=\"{}/token\""],
        &["Bearer realm=\"{}/token\", Basic realm=\"x\""],
        &["bearer REALM={}/token, service=r"],
        &["BEARER service=\"r\",  realm = \"{}/token\""],
    ];
    for challenges in cases {
        let server = registry(challenges, right);
        pull(&Client::new(), &server).await.unwrap();
    }
    // The account where no token is offered.
    let image = TestImage::new();
    let server = image.serve(|asked| {
        let known = asked.authorization.as_deref() == Some("Basic bWU6c2VjcmV0");
        (!known).then(|| {
            Answer::new(401, "")
                .header("www-authenticate", "Negotiate")
                .header("WWW-Authenticate", "Basic realm=\"x\"")
        })
    });
    let client = Client::with_account("me", "secret");
    pull(&client, &server).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_read_as_servers_write_them() {
    for text in [
        // As Harbor does.
        r#"{"token":"right","access_token":"","expires_in":1800}"#,
        r#"{"token":null,"access_token":"right"}"#,
        r#"{"access_token":"right","token":"","issued_at":"x"}"#,
    ] {
        let server = registry(BEARER, move |_| Answer::new(200, text));
        pull(&Client::new(), &server).await.unwrap();
    }
    for text in ["{}", "<html>", r#"{"token":""}"#] {
        let server = registry(BEARER, move |_| Answer::new(200, text));
        let failure = pull(&Client::new(), &server).await.unwrap_err();
        assert!(failure.message.contains("without a token"), "{failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scope_of_a_challenge_is_asked_for() {
    let challenge = &[
        "Bearer realm=\"{}/token\",service=\"r\",scope=\"repository:team/app:pull repository:app:pull\"",
    ];
    for client in [Client::new(), Client::with_identity("known")] {
        let server = registry(challenge, |asked| {
            let form = String::from_utf8_lossy(&asked.body).into_owned();
            let text = format!("{}&{form}", asked.path)
                .replace("%3A", ":")
                .replace("%2F", "/");
            let wanted = "repository:team/app:pull";
            let has_both = text.contains(wanted) && text.contains("repository:app:pull");
            Answer::new(if has_both { 200 } else { 403 }, r#"{"token":"right"}"#)
        });
        pull(&client, &server).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_server_that_has_no_time_is_asked_again() {
    for client in [
        Client::new(),
        Client::with_account("me", "x"),
        Client::with_identity("x"),
    ] {
        let server = registry(BEARER, |asked| match asked.before {
            0 => Answer::new(503, "").header("Retry-After", "0"),
            // The connection breaks within the answer.
            1 => Answer::new(200, r#"{"token":"right"}"#).cut(5),
            _ => right(asked),
        });
        pull(&client, &server).await.unwrap();
        assert!(
            client.retries()[0].contains("503"),
            "{:?}",
            client.retries()
        );
    }
    let server = registry(BEARER, |_| {
        Answer::new(503, r#"{"details":"moving house"}"#).header("Retry-After", "0")
    });
    let failure = pull(&Client::new(), &server).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Registry, "{failure:?}");
    for word in ["token server", "503", "moving house"] {
        assert!(failure.message.contains(word), "{failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_server_says_is_told() {
    for (status, body) in [
        (
            403,
            r#"{"errors":[{"code":"DENIED","message":"your plan has ended"}]}"#,
        ),
        (401, r#"{"details":"your plan has ended"}"#),
        (401, "your plan has ended\n"),
    ] {
        let server = registry(BEARER, move |_| Answer::new(status, body));
        let failure = pull(&Client::with_account("me", "x"), &server).await;
        let failure = failure.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unauthorized, "{failure:?}");
        assert!(
            failure.message.contains("your plan has ended"),
            "{failure:?}"
        );
        let hint = format!("`locald login {}`", server.registry());
        assert_eq!(failure.hint, Some(hint));
    }
    // Nobody listens at all.
    let server = registry(&["Bearer realm=\"http://localhost:1/token\""], right);
    let mut client = Client::new();
    client.idle = Duration::from_secs(5);
    let failure = pull(&client, &server).await.unwrap_err();
    assert!(
        failure.message.contains("token server localhost"),
        "{failure:?}"
    );
}
