//! An engine in this process that answers what it is told to.

use std::path::PathBuf;

use connect_docker::{Engine, Found, Place};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// What the fake does with a request.
#[derive(Clone)]
pub(crate) enum Do {
    /// Writes these bytes and closes.
    Write(Vec<u8>),
    /// Never answers.
    Hang,
    /// Writes a head, then this chunk again and again.
    Endless(Vec<u8>),
    /// Closes without a byte.
    Close,
}

/// An answer with its length.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Do {
    Do::Write(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

/// An answer that promises more than it holds.
pub(crate) fn cut(body: &[u8]) -> Do {
    let mut bytes = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len() + 100).into_bytes();
    bytes.extend(body);
    Do::Write(bytes)
}

pub(crate) struct Fake {
    pub(crate) engine: Engine,
    pub(crate) asked: tokio::sync::mpsc::UnboundedReceiver<String>,
    _folder: TempDir,
}

/// An engine that tells its version as 20.10 does and answers everything else in the order given, the last one for ever.
pub(crate) fn fake(answers: Vec<Do>) -> Fake {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("d.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let (tell, asked) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut next = 0;
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = stream;
            let request = head(&mut stream).await;
            let line = request.lines().next().unwrap_or_default().to_owned();
            if line.contains(" /version ") {
                let version = json!({"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"});
                play(&mut stream, answer("200 OK", "", &version.to_string())).await;
                continue;
            }
            let _ = tell.send(request);
            let what = answers[next.min(answers.len() - 1)].clone();
            next += 1;
            tokio::spawn(async move { play(&mut stream, what).await });
        }
    });
    Fake { engine: engine(path), asked, _folder: folder }
}

pub(crate) fn engine(path: PathBuf) -> Engine {
    Engine::new(Found { place: Place::Unix(path), found_by: "the test".into() }).expect("no TLS, nothing to fail")
}

pub(crate) async fn head(stream: &mut UnixStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) async fn play(stream: &mut UnixStream, what: Do) {
    match what {
        Do::Write(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Do::Hang => std::future::pending().await,
        Do::Endless(chunk) => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&chunk).await.is_ok() {}
        }
        Do::Close => {}
    }
}
