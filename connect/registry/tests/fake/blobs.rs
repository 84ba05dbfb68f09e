//! Blobs that are not what they should be: whoever reads never has all of it.

use connect_registry::{Descriptor, Digest, RegistryError};

use crate::server::{Answer, Server, answer, nobody};

const LAYER: &[u8] = b"a layer of an image";

fn part() -> Descriptor {
    Descriptor::new("application/octet-stream", Digest::of(LAYER), LAYER.len() as u64)
}

/// How reading the layer ends, and that what was handed out before is not all that came.
async fn check(what: Answer, came: usize, expect: &str) {
    let server = Server::start(move |_| what.clone()).await;
    let mut blob = match nobody().blob(&server.image(), &part()).await {
        Ok(blob) => blob,
        Err(error) => return assert!(format!("{error:?}").starts_with(expect), "{error:?}"),
    };
    let mut got = 0;
    let error = loop {
        match blob.chunk().await {
            Ok(Some(bytes)) => got += bytes.len(),
            Ok(None) => panic!("it ended well"),
            Err(error) => break error,
        }
    };
    let debug = format!("{error:?}");
    assert!(debug.starts_with(expect), "{debug} should be {expect}");
    assert!(got < came, "{got} bytes were handed out");
    if matches!(error, RegistryError::WrongDigest { .. } | RegistryError::WrongSize { .. }) {
        assert!(error.to_string().contains("lies"), "{error}");
        assert!(matches!(blob.chunk().await, Ok(None)), "nothing more comes of it");
    }
}

#[tokio::test]
async fn a_layer_is_what_its_digest_says() {
    check(answer(200, b"A layer of an image"), LAYER.len(), "WrongDigest").await;
    check(answer(200, &LAYER[..10]), 10, "WrongSize").await;
    check(answer(200, ""), 1, "WrongSize").await;
    check(answer(200, &LAYER[..10]).cut(), 10, "Broken").await;
    check(answer(200, LAYER.repeat(1000)), LAYER.len() * 1000, "WrongSize").await;
    check(answer(200, LAYER.repeat(1000)).endless(), usize::MAX, "WrongSize").await;
    check(answer(404, ""), 1, "NotFound").await;
    check(Answer::closed(), 1, "Broken").await;
    let server = Server::start(|_| answer(200, LAYER)).await;
    let bytes = nobody().blob_whole(&server.image(), &part(), 1000).await.expect("true");
    assert_eq!(&bytes[..], LAYER);
    let error = nobody().blob_whole(&server.image(), &part(), 5).await.expect_err("too large");
    assert!(matches!(error, RegistryError::TooLarge { limit: 5, .. }), "{error:?}");
    // Packed for the way it would not be what the digest says: it is not asked for so, and not unpacked.
    assert_eq!(server.asked()[0].header("accept-encoding"), Some("identity"));
    let named = answer(200, LAYER).with("content-encoding", "gzip");
    let server = Server::start(move |_| named.clone()).await;
    assert_eq!(&nobody().blob_whole(&server.image(), &part(), 1000).await.expect("as it came")[..], LAYER);
}
