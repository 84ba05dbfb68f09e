//! Uploads that break off and go on, and registries that would lead one elsewhere.

use std::sync::Arc;

use bytes::Bytes;
use connect_registry::{Digest, RegistryError, Result};
use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;

use crate::server::{Answer, Asked, Server, answer, nobody};

/// The size of a piece as the connector cuts it.
const PIECE_BYTES: usize = 8 << 20;

/// A registry that keeps what is sent; before each request it may do something else.
async fn keeping(
    mut trouble: impl FnMut(&Asked, &mut Vec<u8>) -> Option<Answer> + Send + 'static,
) -> (Server, Arc<Mutex<Vec<u8>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let mine = Arc::clone(&kept);
    let server = Server::start(move |asked| {
        let mut kept = mine.lock();
        if let Some(answer) = trouble(asked, &mut kept) {
            return answer;
        }
        let there = |status: u16, kept: &[u8]| {
            let place = format!("/v2/a/blobs/uploads/u?has={}", kept.len());
            answer(status, "").with("location", place).with("range", format!("0-{}", kept.len().saturating_sub(1)))
        };
        match asked.method.as_str() {
            "HEAD" => answer(404, ""),
            "POST" => there(202, &kept),
            "GET" => there(204, &kept),
            "PATCH" => {
                let begin = asked.header("content-range").and_then(|range| range.split('-').next()?.parse().ok());
                if begin != Some(kept.len()) {
                    return answer(416, "");
                }
                kept.extend_from_slice(&asked.body);
                there(202, &kept)
            }
            "PUT" => {
                kept.extend_from_slice(&asked.body);
                let digest = Digest::of(&kept);
                let wanted = format!("digest={}", digest.as_str().replace(':', "%3A"));
                if asked.path.contains(&wanted) {
                    answer(201, "")
                } else {
                    answer(400, r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#)
                }
            }
            _ => answer(204, ""),
        }
    })
    .await;
    (server, kept)
}

/// Bytes that are not the same everywhere.
fn blob(len: usize) -> Bytes {
    (0..len).map(|at| (at / 7 + at / 100_003) as u8).collect::<Vec<u8>>().into()
}

fn methods(server: &Server) -> Vec<String> {
    server.asked().into_iter().map(|asked| asked.method).collect()
}

async fn send(server: &Server, blob: &Bytes, digest: &Digest) -> Result<bool> {
    let pieces: Vec<_> = blob.chunks(100_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    nobody().upload(&server.image(), digest, stream::iter(pieces).boxed()).await
}

/// A blob arrives whole by these requests, whatever happens on the way.
async fn check(
    len: usize,
    trouble: impl FnMut(&Asked, &mut Vec<u8>) -> Option<Answer> + Send + 'static,
    expect: &[&str],
) {
    let (server, kept) = keeping(trouble).await;
    let blob = blob(len);
    assert_eq!(send(&server, &blob, &Digest::of(&blob)).await, Ok(true));
    assert!(kept.lock()[..] == blob[..], "{} of {len} bytes", kept.lock().len());
    assert_eq!(methods(&server), expect);
}

#[tokio::test]
async fn a_small_blob_is_one_request_and_a_large_one_goes_on_where_it_broke_off() {
    check(1000, |_, _| None, &["HEAD", "POST", "PUT"]).await;
    check(0, |_, _| None, &["HEAD", "POST", "PUT"]).await;
    let large = PIECE_BYTES + 5_000;
    check(large, |_, _| None, &["HEAD", "POST", "PATCH", "PATCH", "PUT"]).await;
    // The registry kept half of the piece, then the connection was gone.
    let mut first = true;
    let half = move |asked: &Asked, kept: &mut Vec<u8>| {
        (asked.method == "PATCH" && std::mem::take(&mut first)).then(|| {
            kept.extend_from_slice(&asked.body[..asked.body.len() / 2]);
            Answer::closed()
        })
    };
    check(large, half, &["HEAD", "POST", "PATCH", "GET", "PATCH", "PATCH", "PUT"]).await;
    // It kept all of it, and could not say so.
    let mut first = true;
    let unsaid = move |asked: &Asked, kept: &mut Vec<u8>| {
        (asked.method == "PATCH" && std::mem::take(&mut first)).then(|| {
            kept.extend_from_slice(&asked.body);
            answer(502, "")
        })
    };
    check(large, unsaid, &["HEAD", "POST", "PATCH", "GET", "PATCH", "PUT"]).await;
}

/// The error of sending the blob.
async fn check_error(
    trouble: impl FnMut(&Asked, &mut Vec<u8>) -> Option<Answer> + Send + 'static,
    expect: &str,
    words: &str,
) {
    let (server, _) = keeping(trouble).await;
    let blob = blob(PIECE_BYTES + 1);
    let error = send(&server, &blob, &Digest::of(&blob)).await.expect_err("it does not work");
    assert!(format!("{error:?}").starts_with(expect) && error.to_string().contains(words), "{error:?}");
}

#[tokio::test]
async fn uploads_that_cannot_work_end() {
    let on = |method: &'static str, what: Answer| {
        move |asked: &Asked, _: &mut Vec<u8>| (asked.method == method).then(|| what.clone())
    };
    check_error(
        on("POST", answer(202, "").with("location", "http://127.0.0.1:1/u")),
        "Redirect",
        "stays at its registry",
    )
    .await;
    check_error(on("POST", answer(202, "")), "Redirect", "does not say where").await;
    check_error(on("POST", answer(403, "")), "Denied", "").await;
    check_error(
        on("PATCH", answer(202, "").with("location", "/v2/x").with("range", "0-0")),
        "Garbled",
        "takes no more",
    )
    .await;
    let far = answer(202, "").with("location", "/v2/x").with("range", "0-99999999");
    check_error(on("PATCH", far), "Garbled", "it has 100000000 bytes").await;
    check_error(on("PUT", answer(400, r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#)), "Invalid", "DIGEST_INVALID").await;
    let lost = |asked: &Asked, _: &mut Vec<u8>| match asked.method.as_str() {
        "PATCH" => Some(Answer::closed()),
        "GET" => Some(answer(404, r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#)),
        _ => None,
    };
    check_error(lost, "NotFound", "BLOB_UPLOAD_UNKNOWN").await;
}

#[tokio::test]
async fn what_is_not_what_it_is_called_is_not_sent_to_the_end() {
    let (server, _) = keeping(|_, _| None).await;
    let error = send(&server, &blob(1000), &Digest::of(b"other")).await.expect_err("another digest");
    assert!(matches!(error, RegistryError::WrongDigest { .. }), "{error:?}");
    assert_eq!(methods(&server), ["HEAD", "POST", "DELETE"]);
    // One that is there is not sent.
    let server = Server::start(|_| answer(200, "")).await;
    assert_eq!(send(&server, &blob(10), &Digest::of(&blob(10))).await, Ok(false));
    assert_eq!(methods(&server), ["HEAD"]);
}

#[tokio::test]
async fn a_blob_of_another_repository_is_mounted_or_the_upload_given_up() {
    let digest = Digest::of(b"x");
    let server = Server::start(|_| answer(201, "")).await;
    let from = server.image();
    let to = format!("{}/b:1", server.address).parse().expect("a reference");
    assert_eq!(nobody().mount(&to, &digest, &from).await, Ok(true));
    let hex = digest.hex();
    assert_eq!(server.lines(), [format!("POST /v2/b/blobs/uploads/?mount=sha256%3A{hex}&from=a")]);
    let server = Server::start(|_| answer(202, "").with("location", "/v2/b/blobs/uploads/u")).await;
    let to = format!("{}/b:1", server.address).parse().expect("a reference");
    assert_eq!(nobody().mount(&to, &digest, &server.image()).await, Ok(false));
    assert_eq!(methods(&server), ["POST", "DELETE"]);
}
