//! What operators and browsers ask: health, commands, the page, and who may.

use super::*;

#[tokio::test]
async fn operators() {
    let server = Server::new();
    assert_eq!(server.get("/-/healthy").await, (200, json!("apm is Healthy.\n")));
    assert_eq!(server.get("/-/ready").await, (200, json!("apm is Ready.\n")));
    let post = async |path: &str| server.send("POST", path, "", Body::empty()).await;
    assert_eq!(post("/-/flush").await, (200, json!("")));
    assert_eq!(post("/-/compact").await, (200, json!("")));
    *server.memory.waits.lock() = Some("the log is replayed: 3 of 9 files".into());
    assert_eq!(server.get("/-/ready").await, (503, json!("the log is replayed: 3 of 9 files\n")));
    assert_eq!(post("/-/compact").await, (500, json!("the log is replayed: 3 of 9 files\n")));
    let refused = (500, json!("prometheus.yml:3:1: unknown key\n"));
    assert_eq!(post("/-/reload").await, refused);
    assert_eq!(server.send("PUT", "/-/reload", "", Body::empty()).await, refused);
    assert_eq!(server.get("/-/reload").await.0, 405);
    let reply = server.ask("GET", "/metrics", &[], Body::empty()).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "up 1\n"));
    assert_eq!(reply.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let why = "there is nothing at /api/v1/nothing; the page is at /ui/services\n";
    assert_eq!(server.get("/api/v1/nothing").await, (404, json!(why)));
}

#[tokio::test]
async fn the_page() {
    let server = Server::new();
    let get = async |path: &str, headers: &[(&str, &str)]| server.ask("GET", path, headers, Body::empty()).await;
    for path in ["/", "/ui", "/ui/"] {
        let reply = get(path, &[]).await;
        assert_eq!((reply.status, reply.header("location")), (307, "/ui/services"), "{path}");
    }
    // Paths of the page's own get its frame; a service may have a dot in its name.
    for path in ["/ui/services", "/ui/traces/0af7", "/ui/services/cart.v2"] {
        let reply = get(path, &[]).await;
        assert!(reply.status == 200 && reply.text().contains("<html"), "{path}");
        assert!(reply.header("content-type").starts_with("text/html"), "{path}");
    }
    assert_eq!(get("/ui/assets/missing.js", &[]).await.status, 404);
    let plain = get("/ui/app.js", &[]).await;
    assert_eq!((plain.status, plain.header("content-encoding")), (200, ""));
    assert!(plain.header("content-type").contains("javascript"));
    assert!(plain.header("content-security-policy").starts_with("default-src 'self'"));
    let packed = get("/ui/app.js", &[("accept-encoding", "br, gzip")]).await;
    assert_eq!((packed.status, packed.header("content-encoding")), (200, "gzip"));
    assert!(packed.bytes.starts_with(&[0x1f, 0x8b]) && packed.bytes.len() < plain.bytes.len());
    let tag = plain.header("etag").to_owned();
    for known in [tag.clone(), format!("\"other\", W/{tag}")] {
        let reply = get("/ui/app.js", &[("if-none-match", &known)]).await;
        assert_eq!((reply.status, reply.bytes.len(), reply.header("etag")), (304, 0, tag.as_str()));
    }
    assert_eq!(get("/ui/app.js", &[("if-none-match", "\"other\"")]).await.status, 200);
}

#[tokio::test]
async fn a_role_for_each_door() {
    let file =
        "viewer viewer-0123456789\ningest ingest-0123456789\ndeployer deploy-0123456789\nadmin admins-0123456789\n";
    let server = Server::with(|api| api.tokens = Tokens::parse(file).unwrap());
    // What a viewer, an ingester, a deployer, an admin and a stranger get.
    let table = [
        ("GET", "/-/ready", [200, 200, 200, 200, 200]),
        ("GET", "/", [307, 307, 307, 307, 307]),
        ("GET", "/metrics", [200, 403, 200, 200, 401]),
        // The page asks for a token itself.
        ("GET", "/ui/services", [200, 200, 200, 200, 200]),
        ("GET", "/api/v1/query?query=1", [200, 403, 200, 200, 401]),
        ("POST", "/api/v1/query?query=1", [200, 403, 200, 200, 401]),
        ("GET", "/loki/api/v1/labels", [200, 403, 200, 200, 401]),
        ("GET", "/api/services", [200, 403, 200, 200, 401]),
        ("GET", "/apm/v1/status", [200, 403, 200, 200, 401]),
        ("POST", "/apm/v1/status", [403, 403, 405, 405, 401]),
        ("POST", "/api/v1/write", [403, 415, 403, 415, 401]),
        ("POST", "/api/v1/read", [400, 403, 400, 400, 401]),
        ("POST", "/api/v1/admin/tsdb/snapshot", [403, 403, 403, 500, 401]),
        ("POST", "/loki/api/v1/push", [403, 415, 403, 415, 401]),
        ("POST", "/v1/traces", [403, 415, 403, 415, 401]),
        ("POST", "/otlp/v1/logs", [403, 415, 403, 415, 401]),
        ("POST", "/api/v1/otlp/v1/metrics", [403, 415, 403, 415, 401]),
        ("POST", "/opentelemetry.proto.collector.trace.v1.TraceService/Export", [403, 200, 403, 200, 401]),
        ("POST", "/-/flush", [403, 403, 403, 200, 401]),
        ("POST", "/-/reload", [403, 403, 403, 500, 401]),
    ];
    for (method, path, statuses) in table {
        for (who, expected) in ["viewer", "ingest", "deploy", "admins", "nobody"].iter().zip(statuses) {
            let token = format!("Bearer {who}-0123456789");
            let headers = [("authorization", token.as_str()), ("content-type", "text/plain")];
            let reply = server.ask(method, path, &headers, "x").await;
            assert_eq!(reply.status, expected, "{method} {path} as {who}: {}", reply.text());
        }
    }
    let reply = server.ask("GET", "/metrics", &[], Body::empty()).await;
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, "Basic realm=\"apm\", Bearer"));
    assert_eq!(reply.text(), "a token is wanted: `Authorization: Bearer …`\n");
    // Grafana's basic auth: the password is the token, whoever the user.
    let basic =
        format!("Basic {}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, "me:viewer-0123456789"));
    let table = [
        (basic.as_str(), 200, ""),
        ("bearer viewer-0123456789", 200, ""),
        ("Basic ???", 401, "a token is wanted: `Authorization: Bearer …`\n"),
        ("viewer-0123456789", 401, "a token is wanted: `Authorization: Bearer …`\n"),
        ("Bearer viewer-012345678", 401, "this token is not known here\n"),
        ("Bearer viewer-01234567890", 401, "this token is not known here\n"),
        ("Bearer ingest-0123456789", 403, "this token's role does not allow that\n"),
    ];
    for (given, status, text) in table {
        let reply = server.ask("GET", "/api/v1/query?query=1", &[("authorization", given)], Body::empty()).await;
        assert_eq!(reply.status, status, "{given}");
        assert!(status == 200 || reply.text() == text, "{given}: {}", reply.text());
    }
    // With a token a name in `Host` is no danger: the page of another site has none.
    let other = [("host", "apm.example.org"), ("authorization", "Bearer viewer-0123456789")];
    let request = Request::builder().uri("/metrics").header(other[0].0, other[0].1).header(other[1].0, other[1].1);
    assert_eq!(server.reply(request.body(Body::empty()).unwrap()).await.status, 200);
}

#[tokio::test]
async fn without_tokens_the_guard_stands_before_every_face() {
    let server = Server::new();
    let table = [
        (Some("127.0.0.1:4300"), None, 200),
        (Some("apm.localhost:4300"), None, 200),
        (Some("LOCALHOST"), None, 200),
        (Some("[::1]"), Some("http://[::1]"), 200),
        (Some("[::1"), None, 403),
        (Some("evil.example"), None, 403),
        (Some("127.0.0.1.evil.example"), None, 403),
        (Some("localhost:4300"), Some("https://evil.example"), 403),
        (Some("localhost:4300"), Some("null"), 200),
        (None, None, 200),
    ];
    for (host, origin, expected) in table {
        for path in
            ["/metrics", "/api/v1/query?query=1", "/loki/api/v1/labels", "/api/services", "/apm/v1/status", "/-/ready"]
        {
            let mut request = Request::builder().uri(path);
            for (name, value) in [("host", host), ("origin", origin)] {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
            let status = server.reply(request.body(Body::empty()).unwrap()).await.status;
            assert_eq!(status, expected, "{host:?} {origin:?} {path}");
        }
    }
    // HTTP/2 says it in the URI.
    let request = Request::builder().uri("http://evil.example/metrics").body(Body::empty()).unwrap();
    assert_eq!(server.reply(request).await.status, 403);
}
