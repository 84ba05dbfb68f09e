//! The connector against engines that misbehave: a socket in this process answers what a real engine cannot be made to. What a real one answers is
//! tested by `real.rs`.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use connect_docker::{
    BuildOptions, DockerError, Engine, EventFilter, ExecSpec, Found, LogOptions, Place, RegistryAuth, Surroundings,
    TlsFiles, find,
};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// What the fake does with a request.
#[derive(Clone)]
enum Do {
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
fn answer(status: &str, headers: &str, body: &str) -> Do {
    Do::Write(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

/// An answer that promises more than it holds.
fn cut(body: &[u8]) -> Do {
    let mut bytes = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len() + 100).into_bytes();
    bytes.extend(body);
    Do::Write(bytes)
}

struct Fake {
    engine: Engine,
    asked: tokio::sync::mpsc::UnboundedReceiver<String>,
    _folder: TempDir,
}

/// An engine that tells its version as 20.10 does and answers everything else in the order given, the last one for ever.
fn fake(answers: Vec<Do>) -> Fake {
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

fn engine(path: PathBuf) -> Engine {
    Engine::new(Found { place: Place::Unix(path), found_by: "the test".into() }).expect("no TLS, nothing to fail")
}

async fn head(stream: &mut UnixStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn play(stream: &mut UnixStream, what: Do) {
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

/// The error of inspecting a container, as text, has these words and this class.
async fn check(what: Do, class: &str, words: &[&str]) {
    let error = fake(vec![what]).engine.inspect_container("web").await.expect_err("it misbehaves");
    let debug = format!("{error:?}");
    assert!(debug.starts_with(class), "{debug} should be {class}");
    for word in words {
        assert!(error.to_string().contains(word), "{error} should speak of {word}");
    }
}

#[tokio::test]
async fn refusals_have_their_class() {
    check(
        answer("404 Not Found", "", r#"{"message":"No such container: web"}"#),
        "NotFound",
        &["container `web`", "404"],
    )
    .await;
    let taken = r#"{"message":"Conflict. The container name \"/web\" is already in use by container \"4f0e\"."}"#;
    check(answer("409 Conflict", "", taken), "Conflict", &["4f0e", "409"]).await;
    check(
        answer("500 Internal Server Error", "", r#"{"message":"driver failed"}"#),
        "Engine",
        &["driver failed", "500"],
    )
    .await;
    check(answer("500 Internal Server Error", "", ""), "Engine", &["Internal Server Error"]).await;
    check(answer("502 Bad Gateway", "", "<html>proxy</html>"), "Engine", &["<html>proxy</html>"]).await;
    check(answer("400 Bad Request", "", r#"{"message":"client version 1.41 is too old"}"#), "Invalid", &["too old"])
        .await;
}

#[tokio::test]
async fn a_throttle_says_how_long() {
    let fake = fake(vec![answer(
        "429 Too Many Requests",
        "Retry-After: 17\r\n",
        r#"{"message":"toomanyrequests: slow down"}"#,
    )]);
    let error = fake.engine.pull("shop:1", None, "").await.err().expect("refused");
    let DockerError::Throttled { retry_after, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*retry_after, Some(Duration::from_secs(17)));
    assert_eq!(error.status(), Some(429));
}

#[tokio::test]
async fn broken_answers_have_their_class() {
    check(Do::Close, "Broken", &["inspect container `web`"]).await;
    check(Do::Write(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "Broken", &["inspect container `web`"]).await;
    check(cut(br#"{"Id":"12""#), "Broken", &["inspect container `web`"]).await;
    check(answer("200 OK", "", "{garbage"), "Garbled", &["inspect container `web`", "column"]).await;
    check(Do::Endless(vec![b' '; 64 << 10]), "TooLarge", &["33554432 bytes"]).await;
}

#[tokio::test]
async fn nobody_listens() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let error = engine(folder.path().join("none.sock")).version().await.expect_err("no socket");
    assert!(matches!(error, DockerError::NotReachable { .. }), "{error:?}");
    assert!(error.to_string().contains("none.sock (from the test)"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("is the engine running")));

    // A socket whose listener is gone, and a port where nobody is.
    let path = folder.path().join("left.sock");
    drop(UnixListener::bind(&path).expect("a socket"));
    assert!(matches!(engine(path).info().await, Err(DockerError::NotReachable { .. })));
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let host = format!("tcp://{}", free.local_addr().expect("bound"));
    drop(free);
    let surroundings = Surroundings { docker_host: Some(host), ..Default::default() };
    let found = find(&surroundings, &*base_world::World::real().disk).expect("an address");
    let error = Engine::new(found).expect("no TLS").version().await.expect_err("nobody there");
    assert!(error.to_string().contains("from DOCKER_HOST"), "{error}");
}

#[tokio::test]
async fn an_engine_that_hangs_is_not_waited_for() {
    let fake = fake(vec![Do::Hang]);
    let impatient = Engine::with_patience(fake.engine.found().clone(), Duration::from_millis(50)).expect("no TLS");
    let error = impatient.inspect_container("web").await.expect_err("it hangs");
    assert_eq!(error.to_string(), "inspect container `web`: no end within 50 ms");
    assert!(error.is_transient());
    let error = fake.engine.wait_container("web", Duration::from_millis(70)).await.expect_err("it hangs");
    assert_eq!(error.to_string(), "wait for container `web`: no end within 70 ms");
    let error = fake.engine.exec("web", &ExecSpec::default(), Duration::from_millis(30)).await.expect_err("it hangs");
    assert!(matches!(error, DockerError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn an_engine_that_dies_in_the_middle_of_logs() {
    let inspect = answer("200 OK", "", r#"{"Config":{"Tty":false}}"#);
    let fake = fake(vec![inspect, cut(b"\x01\0\0\0\0\0\0\x0ahello\nworl")]);
    let mut lines = fake.engine.logs("web", &LogOptions::default()).await.expect("it begins well");
    let first = lines.next().await.expect("a line").expect("whole");
    assert_eq!(first.text, "hello");
    let error = lines.next().await.expect("an end").expect_err("it died");
    assert!(matches!(error, DockerError::Broken { .. }) && error.is_transient(), "{error:?}");
    assert!(lines.next().await.is_none(), "an error ends the stream");
}

#[tokio::test]
async fn a_build_s_error_comes_in_its_stream() {
    let messages = "{\"stream\":\"Step 1/1 : RUN false\\n\"}\r\n{\"errorDetail\":{\"message\":\"write /x: no space left on device\"},\"error\":\"write\"}\r\n";
    let fake = fake(vec![answer("200 OK", "", messages)]);
    let context = futures_util::stream::iter([Ok(Bytes::from_static(b"tar"))]).boxed();
    let mut messages = fake.engine.build(&BuildOptions::default(), context).await.expect("it begins well");
    assert_eq!(messages.next().await.expect("one").expect("good").output, "Step 1/1 : RUN false\n");
    assert!(matches!(messages.next().await, Some(Err(DockerError::NoSpace { .. }))));
}

#[tokio::test]
async fn one_endless_message_is_cut_off() {
    let fake = fake(vec![Do::Endless(vec![b'x'; 64 << 10])]);
    let messages = fake.engine.pull("shop:1", None, "").await.expect("it begins well");
    let error = messages.try_collect::<Vec<_>>().await.expect_err("no end");
    assert!(matches!(error, DockerError::TooLarge { .. }), "{error:?}");
}

#[tokio::test]
async fn events_go_on_after_a_break_and_come_once() {
    let event = |at: u64, action: &str| {
        json!({"Type": "container", "Action": action, "Actor": {"ID": "12", "Attributes": {}}, "timeNano": at})
            .to_string()
            + "\n"
    };
    let first = event(1_000_000_000, "create") + &event(2_000_000_005, "start");
    // The engine sends again what happened at the moment asked for.
    let second = event(2_000_000_005, "start") + &event(2_000_000_005, "rename") + &event(3_000_000_000, "die");
    let mut fake = fake(vec![cut(first.as_bytes()), Do::Close, answer("200 OK", "", &second), Do::Hang]);
    let events = fake.engine.events(EventFilter::default()).await.expect("it begins well");
    let actions: Vec<String> = events.take(4).map_ok(|event| event.action).try_collect().await.expect("no error");
    assert_eq!(actions, ["create", "start", "rename", "die"]);
    let mut lines = Vec::new();
    while let Ok(request) = fake.asked.try_recv() {
        lines.push(request.lines().next().unwrap_or_default().to_owned());
    }
    assert!(!lines[0].contains("since=") && lines[2].contains("since=2.000000005"), "{lines:?}");
}

#[tokio::test]
async fn requests_are_written_as_docker_reads_them() {
    let mut fake = fake(vec![answer("200 OK", "", "[]"), answer("200 OK", "", "{}")]);
    fake.engine.containers(&[("team".to_owned(), "shop".to_owned())].into()).await.expect("an empty list");
    let request = fake.asked.recv().await.expect("asked");
    assert!(
        request.starts_with(
            "GET /v1.41/containers/json?all=true&filters=%7B%22label%22%3A%5B%22team%3Dshop%22%5D%7D HTTP/1.1\r\n"
        ),
        "{request}"
    );
    let auth = RegistryAuth { username: "u".into(), password: "p".into(), registry: "r".into(), ..Default::default() };
    let pulled = fake.engine.pull("r/shop:1", Some(&auth), "").await.expect("it begins");
    pulled.try_collect::<Vec<_>>().await.expect("an empty message is one");
    let request = fake.asked.recv().await.expect("asked");
    assert!(request.starts_with("POST /v1.41/images/create?fromImage=r%2Fshop&tag=1 "), "{request}");
    assert!(request.contains("x-registry-auth: eyJwYXNzd29yZCI6InAi"), "{request}");
}

#[tokio::test]
async fn what_is_as_wanted_already_is_no_error() {
    let same = || answer("304 Not Modified", "", "");
    let none = || answer("404 Not Found", "", r#"{"message":"No such thing"}"#);
    let fake = fake(vec![same(), same(), none(), none(), none(), none()]);
    let engine = &fake.engine;
    assert!(!engine.start_container("web").await.expect("running already"));
    assert!(!engine.stop_container("web", Duration::from_secs(1)).await.expect("stopped already"));
    assert!(!engine.remove_container_if_there("web").await.expect("gone already"));
    assert!(!engine.remove_network_if_there("shop").await.expect("gone already"));
    assert!(!engine.remove_volume_if_there("data").await.expect("gone already"));
    assert_eq!(engine.image_if_there("shop:1").await.expect("no error"), None);
}

/// Whoever stops reading a stream that nothing comes from must not leave a connection behind.
#[tokio::test]
async fn a_stream_that_is_dropped_closes_its_connection() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("d.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("the version's");
        head(&mut stream).await;
        play(&mut stream, answer("200 OK", "", r#"{"Version":"20.10.24","ApiVersion":"1.41"}"#)).await;
        let (mut stream, _) = listener.accept().await.expect("the events'");
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("a head");
        // Its end: the other side has closed.
        stream.read(&mut [0; 1]).await
    });
    let events = engine(path).events(EventFilter::default()).await.expect("it begins well");
    drop(events);
    let read = tokio::time::timeout(Duration::from_secs(20), served).await.expect("the connection is closed");
    assert_eq!(read.expect("no panic").ok(), Some(0));
}

/// An engine over TLS that asks for a certificate, with the authority and the keys of `tests/certificates`, which are good for nothing else.
#[tokio::test]
async fn tls_both_ways() {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let pem = |name: &str| {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name);
        base_world::World::real().disk.read(&path, 1 << 16).expect("a file of this crate")
    };
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem("ca.pem")).expect("a certificate")).expect("good");
    let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .build()
        .expect("one root");
    let chain = vec![CertificateDer::from_pem_slice(&pem("engine.pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(&pem("engine-key.pem")).expect("a key");
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("known");
    let config = config.with_client_cert_verifier(clients).with_single_cert(chain, key).expect("they fit");
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                bytes.push(byte);
            }
            let body = r#"{"Version":"20.10.24","ApiVersion":"1.41"}"#;
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    let engine = |host: &str, ca: &str, identity: bool| {
        let identity = identity.then(|| (pem("client.pem"), pem("client-key.pem")));
        let tls = Some(TlsFiles { ca: pem(ca), identity });
        let place = Place::Tcp { host: host.into(), port, tls };
        Engine::new(Found { place, found_by: "the test".into() }).expect("good files")
    };
    for host in ["127.0.0.1", "localhost"] {
        assert_eq!(engine(host, "ca.pem", true).version().await.expect("it answers").version, "20.10.24");
    }
    assert!(engine("127.0.0.1", "ca.pem", false).version().await.is_err(), "no certificate of ours");
    let error = engine("127.0.0.1", "client.pem", true).version().await.expect_err("another authority");
    assert!(matches!(error, DockerError::NotReachable { .. }) && error.to_string().contains("certificate"), "{error}");
}
