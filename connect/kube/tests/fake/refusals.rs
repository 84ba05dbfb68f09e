//! Servers that refuse, hang, babble and break off.

use std::time::Duration;

use connect_kube::{KubeError, Resource, WriteOptions};
use serde_json::json;

use crate::server::{Do, Fake, answer, pods};

/// The error of a `get` has this class and these words.
async fn check(what: Do, class: &str, words: &[&str]) {
    let cluster = Fake::new(vec![what]).await.cluster().within(Duration::from_secs(2));
    let error = cluster.get(&pods().at("shop", "web")).await.expect_err("it misbehaves");
    let debug = format!("{error:?}");
    assert!(debug.starts_with(class), "{debug} should be {class}");
    for word in words {
        assert!(error.to_string().contains(word), "{error} should speak of {word}");
    }
}

#[tokio::test]
async fn refusals_have_their_class() {
    let status = |message: &str, reason: &str| {
        json!({"kind": "Status", "message": message, "reason": reason, "details": {"name": "web"}}).to_string()
    };
    check(
        answer("404 Not Found", "", &status("pods \"web\" not found", "NotFound")),
        "NotFound",
        &["pods `web` in namespace `shop`", "404"],
    )
    .await;
    check(answer("401 Unauthorized", "", &status("Unauthorized", "Unauthorized")), "Unauthorized", &["the test"]).await;
    check(answer("502 Bad Gateway", "", "<html>a  proxy</html>"), "Unready", &["<html>a proxy</html>", "502"]).await;
    check(answer("503 Service Unavailable", "", ""), "Unready", &["without a word"]).await;
    check(answer("403 Forbidden", "", "<html>go away</html>"), "Refused", &["go away"]).await;
    check(answer("302 Found", "location: http://evil.example.org/\r\n", ""), "Refused", &["302"]).await;
}

#[tokio::test]
async fn broken_answers_have_their_class() {
    check(Do::Stay(Vec::new()), "Timeout", &["get pods `web`", "2000 ms"]).await;
    check(Do::Stay(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec()), "Timeout", &["2000 ms"]).await;
    check(Do::Write(Vec::new()), "Broken", &["get pods `web`"]).await;
    check(Do::Write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec()), "Broken", &[]).await;
    check(Do::Write(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "Broken", &[]).await;
    check(answer("200 OK", "", "{\"a\": hunter2"), "Garbled", &["line 1 column 7"]).await;
    check(Do::Endless(vec![b' '; 1 << 20]), "TooLarge", &["67108864"]).await;
}

#[tokio::test]
async fn nobody_there_is_not_reachable() {
    let mut fake = Fake::new(vec![answer("200 OK", "", "{}")]).await;
    fake.port = 1;
    let error = fake.cluster().version().await.expect_err("nobody listens");
    assert!(matches!(&error, KubeError::NotReachable { server, .. } if server == "http://127.0.0.1:1"), "{error:?}");
    assert!(error.hint().is_some_and(|hint| hint.contains("kubectl version")));
    assert!(error.is_transient() && !error.may_have_happened());
}

#[tokio::test]
async fn a_throttle_says_how_long() {
    let fake = Fake::new(vec![answer("429 Too Many Requests", "Retry-After: 17\r\n", "slow down")]).await;
    let error = fake.cluster().version().await.expect_err("refused");
    assert_eq!((error.retry_after(), error.status()), (Some(Duration::from_secs(17)), Some(429)));
}

/// What a server says about a Secret quotes it in many forms.
#[tokio::test]
async fn data_of_a_secret_is_kept_out_of_errors() {
    let said = |message: &str| {
        let cause = json!({"reason": "FieldValueInvalid", "field": "data", "message": message});
        json!({"kind": "Status", "reason": "Invalid", "message": message, "details": {"name": "s", "causes": [cause]}})
            .to_string()
    };
    let secrets = Resource::namespaced("v1", "Secret", "secrets");
    let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "hunter2"}, "data": {"b": "aHVudGVyMw==", "c": 47114711}});
    for message in [
        "the value hunter2 is bad",
        "aHVudGVyMw== is hunter3",
        ".data.c: expected string, got &value.valueUnstructured{Value:47114711}",
        "data: Invalid value: map[string]string{\"a\":\"hun\\x74er2\"}",
    ] {
        let fake = Fake::new(vec![answer("422 Unprocessable Entity", "", &said(message))]).await;
        let error = fake
            .cluster()
            .apply(&secrets.at("shop", "s"), &object, &WriteOptions::by("apm"))
            .await
            .expect_err("refused");
        let shown = format!("{error} {error:?}");
        for secret in ["hunter", "hun\\", "aHVudGVy", "4711"] {
            assert!(!shown.contains(secret), "{shown} has {secret}");
        }
        assert!(shown.contains("[secret]"), "{shown}");
    }
}
