//! Uploads that registries take in their own ways.

use crate::fixture::{Client, TestImage, accept};
use crate::stand_in::{Answer, Asked, StandIn};

/// Copies an image within one registry that takes uploads as a test says.
async fn copied(answer: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static) -> Vec<Asked> {
    let image = TestImage::new();
    let registry = StandIn::start(move |asked| {
        let other = || match asked.method.as_str() {
            "GET" => image.answer(asked),
            _ => accept(asked, "/v2/new/blobs/uploads/1?state=x"),
        };
        answer(asked).unwrap_or_else(other)
    });
    let [from, to] = ["old", "new"].map(|name| format!("{}/{name}", registry.registry()));
    Client::with_account("me", "x")
        .copy(&from, &to)
        .await
        .unwrap();
    registry.asked()
}

fn count(asked: &[Asked], method: &str, part: &str) -> usize {
    let wanted = asked.iter();
    let wanted = wanted.filter(|it| it.method == method && it.path.contains(part));
    wanted.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_may_not_be_mounted_is_uploaded() {
    for status in [401, 403, 404, 405, 501] {
        let asked = copied(move |asked| {
            let mounts = asked.path.contains("mount=");
            mounts.then(|| Answer::new(status, ""))
        })
        .await;
        assert_eq!(count(&asked, "PUT", "digest="), 4, "{status}: {asked:?}");
        assert_eq!(count(&asked, "PUT", "state=x"), 4, "{status}: {asked:?}");
    }
    let asked = copied(|asked| asked.path.contains("mount=").then(|| Answer::new(201, ""))).await;
    assert_eq!(count(&asked, "PUT", "digest="), 0, "{asked:?}");
}

/// What is kept of an upload that broke is another thing with each registry.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_begins_again() {
    for status in [404, 416, 500, 503] {
        let asked = copied(move |asked| {
            if asked.path.contains("mount=") {
                return Some(Answer::new(202, "").header("Location", "/v2/new/blobs/uploads/1"));
            }
            let breaks = asked.method == "PUT" && asked.path.contains("digest=");
            (breaks && asked.before == 0)
                .then(|| Answer::new(status, "").header("Retry-After", "0"))
        })
        .await;
        assert_eq!(count(&asked, "PUT", "digest="), 8, "{status}: {asked:?}");
        assert_eq!(count(&asked, "POST", "mount="), 8, "{status}: {asked:?}");
    }
}

/// As with a layer that takes longer than the token is good for.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_within_an_upload_is_renewed() {
    let asked = copied(|asked| {
        let uploads = asked.method == "PUT" && asked.path.contains("digest=");
        let first = asked.before == 0;
        (uploads && first && asked.authorization.is_none())
            .then(|| Answer::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\""))
    })
    .await;
    let whole = asked.iter().filter(|it| it.path.contains("digest="));
    let sent: usize = whole.map(|it| it.body.len()).sum();
    let expected: usize = TestImage::new().blobs.values().map(Vec::len).sum();
    assert!(sent > expected, "{sent} {expected}");
}

/// The address of an upload is read as the one has it who began it.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_may_begin_at_another_registry() {
    let image = TestImage::new();
    let other = StandIn::start(|asked| accept(asked, "uploads/2?x=y"));
    let away = format!("http://{}", other.registry());
    let source = image.serve(|_| None);
    let registry = StandIn::start(move |asked| match asked.method.as_str() {
        "POST" => Answer::new(307, "").header("Location", format!("{away}{}", asked.path)),
        _ => accept(asked, "/nowhere"),
    });
    let from = format!("{}/app", source.registry());
    let to = format!("{}/app", registry.registry());
    Client::new().copy(&from, &to).await.unwrap();
    let asked = other.asked();
    assert_eq!(
        count(&asked, "PUT", "/v2/app/blobs/uploads/uploads/2?x=y&digest="),
        4
    );
}
