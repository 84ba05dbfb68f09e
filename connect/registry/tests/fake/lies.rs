//! Manifests and lists of registries that lie: each lie has its name, and nothing of it is handed out.

use std::time::Duration;

use connect_registry::{Digest, Kind, RegistryError, media};

use crate::server::{ANN_BASIC, Answer, Server, ann, answer, client, nobody};

const TRUE: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
const FALSE: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[ ]}"#;

fn manifest(body: &str) -> Answer {
    answer(200, body).with("content-type", media::OCI_INDEX)
}

/// The error of reading the manifest that was asked for by the digest of TRUE, or by a tag.
async fn check(by_digest: bool, what: Answer, expect: &str) {
    let server = Server::start(move |_| what.clone()).await;
    let image = server.image();
    let image = if by_digest { image.pinned(&Digest::of(TRUE.as_bytes())) } else { image };
    let error = nobody().manifest(&image).await.expect_err("it lies");
    let (debug, text) = (format!("{error:?}"), error.to_string());
    assert!(debug.starts_with(expect), "{debug} should be {expect}");
    assert!(text.contains(&image.to_string()), "{text} should name the image");
}

#[tokio::test]
async fn a_manifest_is_what_was_asked_for_or_nothing() {
    let (digest, other) = (Digest::of(TRUE.as_bytes()), Digest::of(FALSE.as_bytes()));
    check(true, manifest(FALSE), "WrongDigest").await;
    check(true, manifest(FALSE).with("docker-content-digest", &other), "WrongDigest").await;
    check(true, manifest(FALSE).with("docker-content-digest", &digest), "WrongDigest").await;
    check(true, manifest(TRUE).with("docker-content-digest", &other), "WrongDigest").await;
    check(false, manifest(FALSE).with("docker-content-digest", &digest), "WrongDigest").await;
    check(false, manifest(TRUE).with("docker-content-digest", "sha256:12"), "Garbled").await;
    check(true, manifest(TRUE).cut(), "Broken").await;
    check(true, manifest(&" ".repeat(1 << 20)).endless(), "TooLarge").await;
    check(false, Answer::closed(), "Broken").await;
    check(false, answer(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#), "NotFound").await;
    check(false, answer(301, ""), "Redirect").await;
    let server = Server::start(|_| manifest(TRUE)).await;
    let read = nobody().manifest(&server.image()).await.expect("the truth");
    assert_eq!((read.digest, read.media_type.as_str()), (digest, media::OCI_INDEX));
    let accept = server.asked()[0].header("accept").expect("said").to_owned();
    assert!(accept.contains(media::DOCKER_LIST) && accept.contains(media::OCI_MANIFEST), "{accept}");
}

#[tokio::test]
async fn a_tag_is_resolved_by_head_and_where_that_says_nothing_by_reading() {
    let digest = Digest::of(TRUE.as_bytes());
    let named = digest.clone();
    let server = Server::start(move |_| manifest(TRUE).with("docker-content-digest", &named)).await;
    assert_eq!(nobody().resolve(&server.image()).await.expect("known").digest, digest);
    assert_eq!(server.lines(), ["HEAD /v2/a/manifests/1"]);
    for head in
        [answer(404, ""), answer(405, ""), manifest(""), manifest("").with("docker-content-digest", "sha256:12")]
    {
        let server =
            Server::start(move |asked| if asked.method == "HEAD" { head.clone() } else { manifest(TRUE) }).await;
        assert_eq!(nobody().resolve(&server.image()).await.expect("known").digest, digest);
        assert_eq!(server.lines(), ["HEAD /v2/a/manifests/1", "GET /v2/a/manifests/1"]);
    }
    // Asked by a digest, it says another.
    let other = Digest::of(FALSE.as_bytes());
    let server = Server::start(move |_| manifest("").with("docker-content-digest", &other)).await;
    let error = nobody().resolve(&server.image().pinned(&digest)).await.expect_err("it lies");
    assert!(matches!(error, RegistryError::WrongDigest { .. }), "{error:?}");
}

/// The error of listing tags, and how often the registry was asked for them.
async fn check_list(pages: Vec<Answer>, expect: &str, asked: usize) {
    let mut pages = pages.into_iter().cycle();
    let server = Server::start(move |_| pages.next().expect("for ever")).await;
    let error = nobody().tags(&server.image()).await.expect_err("it lies");
    assert!(error.to_string().contains(expect), "{error}");
    assert_eq!(server.lines().len(), asked);
}

#[tokio::test]
async fn lists_end() {
    let page = |next: &str| answer(200, r#"{"name":"a","tags":["1"]}"#).with("link", format!("<{next}>; rel=\"next\""));
    let round = vec![page("/v2/a/tags/list?last=x"), page("/v2/a/tags/list?last=y")];
    check_list(round, "a second time", 3).await;
    check_list(vec![page("/v2/a/tags/list?n=1000")], "a second time", 1).await;
    check_list(vec![page("http://127.0.0.1:1/v2/a/tags/list")], "somebody else's", 1).await;
    check_list(vec![page("//elsewhere.example.org/")], "somebody else's", 1).await;
    check_list(vec![answer(200, "[").endless()], "more than", 1).await;
    check_list(vec![answer(200, "<html>")], "cannot be used", 1).await;
    let mut number = 0;
    let server = Server::start(move |asked| {
        number += 1;
        let body = format!(r#"{{"name":"a","tags":["{number}"]}}"#);
        let next = format!("</v2/a/tags/list?last={number}&n=1>; rel=\"next\"");
        assert!(asked.path.contains("n=1"), "{}", asked.path);
        if number < 3 { answer(200, body).with("link", next) } else { answer(200, body) }
    })
    .await;
    assert_eq!(nobody().tags(&server.image()).await.expect("all of them"), ["1", "2", "3"]);
    // A repository whose tags were all deleted.
    let server = Server::start(|_| answer(200, r#"{"name":"a","tags":null}"#)).await;
    assert!(nobody().tags(&server.image()).await.expect("none").is_empty());
}

#[tokio::test]
async fn who_we_are_stays_at_the_registry() {
    let storage = Server::start(|_| manifest(TRUE)).await;
    let there = format!("http://{}/bucket/x?signature=s", storage.address);
    let registry = Server::start(move |asked| match asked.header("authorization") {
        None => answer(401, "").with("www-authenticate", "Basic realm=\"test\""),
        Some(_) => answer(307, "").with("location", &there),
    })
    .await;
    let known = client(connect_registry::Always(ann()));
    known.manifest(&registry.image()).await.expect("followed");
    assert_eq!(registry.asked()[1].header("authorization"), Some(ANN_BASIC));
    let asked = storage.asked();
    assert_eq!((asked.len(), asked[0].path.as_str()), (1, "/bucket/x?signature=s"));
    assert_eq!(asked[0].header("authorization"), None, "{asked:?}");

    // The storage asks who we are: it is not told, whatever it says.
    let storage = Server::start(|_| answer(401, "").with("www-authenticate", "Basic realm=\"storage\"")).await;
    let there = format!("http://{}/x", storage.address);
    let registry = Server::start(move |_| answer(302, "").with("location", &there)).await;
    let error = known.manifest(&registry.image()).await.expect_err("refused");
    assert_eq!(error.kind(), Kind::Auth);
    assert!(storage.asked().iter().all(|asked| asked.header("authorization").is_none()));

    // Round and round.
    let registry = Server::start(|_| answer(302, "").with("location", "/v2/a/manifests/1")).await;
    let error = known.manifest(&registry.image()).await.expect_err("refused");
    assert!(error.to_string().contains("more than 5 times"), "{error}");
    assert_eq!(registry.lines().len(), 6);

    // What changes something is not taken elsewhere.
    let registry = Server::start(|_| answer(307, "").with("location", "http://127.0.0.1:1/x?signature=hunter2")).await;
    let image = registry.image().pinned(&Digest::of(b""));
    let error = known.delete(&image).await.expect_err("refused");
    assert!(matches!(error, RegistryError::Redirect { .. }) && !error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn limits_of_a_registry_are_understood() {
    let hub = || {
        let answer = manifest(TRUE).with("ratelimit-limit", "100;w=21600").with("ratelimit-remaining", "76;w=21600");
        answer.with("docker-ratelimit-source", "192.0.2.1")
    };
    let server = Server::start(move |_| hub()).await;
    let asking = nobody();
    assert_eq!(asking.rate_limit(&server.address), None);
    asking.manifest(&server.image()).await.expect("read");
    let limit = asking.rate_limit(&server.address).expect("told");
    assert_eq!(limit.to_string(), "76 of 100 requests left in 6 h");
    assert_eq!(limit.source.as_deref(), Some("192.0.2.1"));

    let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
    let full = answer(429, body).with("retry-after", "17").with("ratelimit-limit", "100;w=21600");
    let server = Server::start(move |_| full.clone()).await;
    match asking.resolve(&server.image()).await.expect_err("throttled") {
        RegistryError::Throttled { retry_after, limit, .. } => {
            assert_eq!(retry_after, Some(Duration::from_secs(17)));
            assert_eq!(limit.and_then(|limit| limit.limit), Some(100));
        }
        other => panic!("{other:?}"),
    }
    // Asked once: a GET would have counted as well.
    assert_eq!(server.lines(), ["HEAD /v2/a/manifests/1"]);
}
