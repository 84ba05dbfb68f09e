//! Logins over TLS: tokens that end, files that are exchanged, programs that issue, certificates; and nothing of them in what is shown.

use std::path::Path;

use base_world::{World, replace_file};
use connect_kube::{Choice, Cluster, KubeError, Surroundings, find};
use serde_json::json;

use crate::server::{Do, Fake, answer, certificate, ok};

fn version() -> Do {
    ok(&json!({"major": "1", "minor": "36+", "gitVersion": "v1.36.3"}))
}

/// As some proxies do, it answers with what it was sent.
fn unauthorized() -> Do {
    answer(
        "401 Unauthorized",
        "",
        &json!({"kind": "Status", "reason": "Unauthorized", "message": "Unauthorized: hunter2-1 hunter2-2"})
            .to_string(),
    )
}

fn put(folder: &Path, name: &str, text: &str) {
    replace_file(&*World::real().disk, &folder.join(name), text.as_bytes()).expect("written");
}

/// A cluster at this port, with this `user` (in YAML's flow form) and more keys of `cluster`.
fn cluster(folder: &Path, port: u16, user: &str, more: &str) -> Cluster {
    let authority = certificate("ca.pem").display().to_string();
    let config = format!(
        "current-context: c\nclusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{port}', certificate-authority: {authority}, tls-server-name: api.example.org{more}}}}}]\n\
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {user}}}]\n"
    );
    put(folder, "config", &config);
    let choice = Choice { kubeconfig: Some(folder.join("config")), ..Choice::default() };
    Cluster::new(find(&Surroundings::default(), &choice, &*World::real().disk).expect("found"), World::real())
}

/// A plugin that issues `hunter2-N`, N counting its runs, with more of its status.
fn plugin(folder: &Path, status: &str) -> String {
    let credential = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"hunter2-%s"MORE}}"#;
    let script =
        format!("echo run >>\"$0.runs\"; printf '{}' $(wc -l <\"$0.runs\")", credential.replace("MORE", status));
    put(folder, "plugin.sh", &script);
    "{exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: [PLUGIN]}}"
        .replace("PLUGIN", &folder.join("plugin.sh").display().to_string())
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn hidden(shown: &str) {
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_token_is_sent_over_tls_and_never_shown() {
    let (folder, mut fake) = (folder(), Fake::tls(vec![version(), unauthorized()]).await);
    let cluster = cluster(folder.path(), fake.port, "{token: hunter2-1, as: jane, as-groups: [ops, dev]}", "");
    let found = cluster.version().await.expect("let in");
    assert_eq!(found.numbers(), Some((1, 36)));
    let asked = fake.request().await;
    assert_eq!(asked.header("authorization"), Some("Bearer hunter2-1"));
    assert_eq!(asked.head.matches("impersonate-").count(), 3, "{}", asked.head);
    hidden(&format!("{cluster:?}"));
    let error = cluster.version().await.expect_err("refused");
    assert!(matches!(error, KubeError::Unauthorized { .. }));
    // What is left of the message is not our token.
    assert!(!format!("{error} {error:?}").contains("hunter2-1"), "{error:?}");
    fake.request().await;
    assert!(fake.asked.try_recv().is_err(), "a token that cannot change is tried once");
}

#[tokio::test]
async fn no_token_goes_over_http() {
    let mut fake = Fake::new(vec![version()]).await;
    let found = fake.cluster().found().clone().with_token(connect_kube::Secret::new("hunter2"));
    Cluster::new(found, World::real()).version().await.expect("let in");
    assert_eq!(fake.request().await.header("authorization"), None);
}

#[tokio::test]
async fn a_plugin_s_token_is_kept_and_renewed_when_refused() {
    let (folder, mut fake) = (folder(), Fake::tls(vec![version(), version(), unauthorized(), version()]).await);
    let user = plugin(folder.path(), "");
    let cluster = cluster(folder.path(), fake.port, &user, "");
    for _ in 0..3 {
        cluster.version().await.expect("let in, the last time with another token");
    }
    let mut tokens = Vec::new();
    for _ in 0..4 {
        tokens.push(fake.request().await.header("authorization").unwrap_or_default().to_owned());
    }
    assert_eq!(tokens, ["Bearer hunter2-1", "Bearer hunter2-1", "Bearer hunter2-1", "Bearer hunter2-2"]);
}

#[tokio::test]
async fn a_plugin_is_asked_twice_at_most() {
    let (folder, mut fake) = (folder(), Fake::tls(vec![unauthorized()]).await);
    let user = plugin(folder.path(), "");
    let error = cluster(folder.path(), fake.port, &user, "").version().await.expect_err("refused for ever");
    assert!(matches!(error, KubeError::Unauthorized { .. }), "{error:?}");
    fake.request().await;
    fake.request().await;
    assert!(fake.asked.try_recv().is_err());
}

#[tokio::test]
async fn a_token_that_ends_is_not_used() {
    let (folder, mut fake) = (folder(), Fake::tls(vec![version()]).await);
    let user = plugin(folder.path(), r#","expirationTimestamp":"2001-01-01T00:00:00Z""#);
    let cluster = cluster(folder.path(), fake.port, &user, "");
    for number in 1..=3 {
        cluster.version().await.expect("let in");
        assert_eq!(fake.request().await.header("authorization"), Some(format!("Bearer hunter2-{number}").as_str()));
    }
}

#[tokio::test]
async fn many_calls_at_once_run_the_plugin_once() {
    let (folder, fake) = (folder(), Fake::tls(vec![version()]).await);
    let user = plugin(folder.path(), "");
    let cluster = cluster(folder.path(), fake.port, &user, "");
    let calls: Vec<_> = (0..8).map(|_| cluster.version()).collect();
    for outcome in futures_util::future::join_all(calls).await {
        outcome.expect("let in");
    }
    let runs = World::real().disk.read(&folder.path().join("plugin.sh.runs"), 1 << 10).expect("it ran");
    assert_eq!(runs, b"run\n");
}

#[tokio::test]
async fn a_plugin_that_fails_is_named_without_its_words() {
    let (folder, fake) = (folder(), Fake::tls(vec![version()]).await);
    let user = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: ['-c', 'echo hunter2; echo hunter2 >&2; exit 7'], installHint: 'install sh'}}";
    let error = cluster(folder.path(), fake.port, user, "").version().await.expect_err("no login");
    assert!(error.to_string().contains("`sh` ended with exit status: 7"), "{error}");
    assert_eq!(error.hint().as_deref(), Some("install sh"));
    hidden(&format!("{error} {error:?}"));
}

#[tokio::test]
async fn a_token_file_is_read_again_when_refused() {
    let answers = vec![version(), unauthorized(), version(), unauthorized()];
    let (folder, mut fake) = (folder(), Fake::tls(answers).await);
    put(folder.path(), "token", "hunter2-1\n");
    let cluster = cluster(folder.path(), fake.port, "{tokenFile: token}", "");
    cluster.version().await.expect("let in");
    put(folder.path(), "token", "hunter2-2\n");
    cluster.version().await.expect("let in with the new one, the old one being refused");
    for token in ["hunter2-1", "hunter2-1", "hunter2-2"] {
        assert_eq!(fake.request().await.header("authorization"), Some(format!("Bearer {token}").as_str()));
    }
    let error = cluster.version().await.expect_err("refused, and the file is the same");
    assert!(!format!("{error} {error:?}").contains("hunter2-2"), "{error:?}");
}

#[tokio::test]
async fn certificates_are_shown_and_checked() {
    let (folder, fake) = (folder(), Fake::tls(vec![version()]).await);
    let (pem, key) =
        (certificate("client.pem").display().to_string(), certificate("client-key.pem").display().to_string());
    let user = format!("{{client-certificate: {pem}, client-key: {key}}}");
    cluster(folder.path(), fake.port, &user, "").version().await.expect("let in");

    put(folder.path(), "bad.pem", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n");
    let user = format!("{{client-certificate: {pem}, client-key: bad.pem}}");
    let error = cluster(folder.path(), fake.port, &user, "").version().await.expect_err("no key");
    assert!(error.to_string().contains("client-key: "), "{error}");
    hidden(&format!("{error:?}"));
}

/// The words of the refusal, or none, for `cluster` keys instead of those of a good one.
async fn check_server(keys: &str, expect: Option<&str>) {
    let (folder, fake) = (folder(), Fake::tls(vec![version()]).await);
    let config = format!(
        "current-context: c\nclusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{}', {keys}}}}}]\ncontexts: [{{name: c, context: {{cluster: c}}}}]\n",
        fake.port
    );
    put(folder.path(), "config", &config.replace("CA", &certificate("ca.pem").display().to_string()));
    let choice = Choice { kubeconfig: Some(folder.path().join("config")), ..Choice::default() };
    let found = find(&Surroundings::default(), &choice, &*World::real().disk).expect("found");
    match (Cluster::new(found, World::real()).version().await, expect) {
        (Ok(_), None) => {}
        (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{error} should speak of {words}"),
        (outcome, _) => panic!("{keys}: {outcome:?}"),
    }
}

#[tokio::test]
async fn whom_we_trust() {
    check_server("certificate-authority: CA, tls-server-name: api.example.org", None).await;
    check_server("insecure-skip-tls-verify: true", None).await;
    check_server("certificate-authority: CA", Some("certificate")).await;
    check_server("certificate-authority: CA, tls-server-name: other.example.org", Some("certificate")).await;
    check_server("tls-server-name: api.example.org", Some("certificate")).await;
    check_server("certificate-authority: /none, tls-server-name: api.example.org", Some("/none")).await;
    check_server("certificate-authority-data: aGVsbG8=", Some("certificate-authority has no certificate")).await;
}

#[tokio::test]
async fn through_a_proxy() {
    // It answers CONNECT and then speaks to the server for us.
    let fake = Fake::tls(vec![version()]).await;
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = proxy.local_addr().expect("bound").port();
    let target = fake.port;
    let proxying = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut client, _) = proxy.accept().await.expect("a client");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.expect("a head"));
        }
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.expect("written");
        let mut server = tokio::net::TcpStream::connect(("127.0.0.1", target)).await.expect("there");
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        String::from_utf8_lossy(&head).into_owned()
    });
    let folder = folder();
    let proxied = cluster(
        folder.path(),
        fake.port,
        "{token: hunter2}",
        &format!(", proxy-url: 'http://me:pass@127.0.0.1:{port}'"),
    );
    proxied.version().await.expect("through it");
    hidden(&format!("{proxied:?}").replace("pass", "hunter2"));
    drop(proxied);
    let head = proxying.await.expect("it ends with the connection");
    assert!(head.starts_with(&format!("CONNECT 127.0.0.1:{target} ")), "{head}");
    assert!(head.to_ascii_lowercase().contains("proxy-authorization: basic bwu6cgfzcw=="), "{head}");
}
