//! Signing in as the page does it, and what a program sees meanwhile.

use axum::http::Response;

use super::*;

const TOKENS: &str = "viewer viewer-token-0123456789\ningest ingest-token-0123456789\nadmin admin-token-0123456789\n";
const SESSION: &str = "/apm/v1/session";

async fn ask(server: &Server, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(path).header("host", "engine.example:4300");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap()
}

async fn json_of(response: Response<Body>) -> Value {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn header<'r>(response: &'r Response<Body>, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// As the page posts it.
async fn sign_in(server: &Server, token: &str, origin: &str) -> Response<Body> {
    let headers = [("content-type", "application/json"), ("origin", origin), ("x-apm-page", "1")];
    ask(server, "POST", SESSION, &headers, &json!({"token": token}).to_string()).await
}

#[tokio::test]
async fn a_token_becomes_a_cookie_and_the_cookie_nothing() {
    let server = Server::with(|api| api.tokens = Tokens::parse(TOKENS).unwrap());
    let response = sign_in(&server, "viewer-token-0123456789", "http://engine.example:4300").await;
    assert_eq!(response.status(), 200);
    let set = header(&response, "set-cookie").to_owned();
    let (cookie, rest) = set.split_once("; ").unwrap();
    assert_eq!(rest, "Path=/; Max-Age=604800; HttpOnly; SameSite=Strict");
    assert!(cookie.starts_with("apm_session_4300=") && !set.contains("viewer-token"), "{set}");
    assert_eq!(json_of(response).await, json!({"role": "viewer", "expires_in_seconds": 604_800}));

    let who = ask(&server, "GET", SESSION, &[("cookie", cookie)], "").await;
    assert_eq!(json_of(who).await, json!({"role": "viewer", "by": "cookie"}));
    let bearer = [("authorization", "Bearer admin-token-0123456789")];
    let who = ask(&server, "GET", SESSION, &bearer, "").await;
    assert_eq!(json_of(who).await, json!({"role": "admin", "by": "token"}));
    assert_eq!(ask(&server, "GET", "/apm/v1/status", &[("cookie", cookie)], "").await.status(), 200);

    let ours = [("cookie", cookie), ("origin", "http://engine.example:4300")];
    let out = ask(&server, "DELETE", SESSION, &ours, "").await;
    assert_eq!(out.status(), 204);
    assert!(header(&out, "set-cookie").starts_with("apm_session_4300=; Path=/; Max-Age=0;"), "{out:?}");
    assert_eq!(ask(&server, "GET", "/apm/v1/status", &[("cookie", cookie)], "").await.status(), 401);
}

#[tokio::test]
async fn over_tls_the_cookie_is_secure() {
    let server = Server::with(|api| api.tokens = Tokens::parse(TOKENS).unwrap());
    let headers =
        [("content-type", "application/json"), ("origin", "https://apm.example"), ("sec-fetch-site", "same-origin")];
    let body = json!({"token": "admin-token-0123456789"}).to_string();
    let response = ask(&server, "POST", SESSION, &headers, &body).await;
    assert!(header(&response, "set-cookie").ends_with("; HttpOnly; SameSite=Strict; Secure"), "{response:?}");
}

#[tokio::test]
async fn only_a_program_is_challenged() {
    let server = Server::with(|api| api.tokens = Tokens::parse(TOKENS).unwrap());
    let program = ask(&server, "GET", "/apm/v1/status", &[], "").await;
    assert_eq!((program.status().as_u16(), header(&program, "www-authenticate")), (401, "Basic realm=\"apm\", Bearer"));
    let page = ask(&server, "GET", "/apm/v1/status", &[("x-apm-page", "1")], "").await;
    assert_eq!((page.status().as_u16(), header(&page, "www-authenticate")), (401, ""));
    for open in ["/ui/services", "/ui/app.js"] {
        assert_eq!(ask(&server, "GET", open, &[], "").await.status(), 200, "{open}");
    }
}

#[tokio::test]
async fn what_cannot_sign_in_is_told_why() {
    let server = Server::with(|api| api.tokens = Tokens::parse(TOKENS).unwrap());
    let ours = "http://engine.example:4300";
    for (token, origin, expected, word) in [
        ("nobody-token-0123456789", ours, 401, "not known"),
        ("ingest-token-0123456789", ours, 403, "may send telemetry"),
        ("viewer-token-0123456789", "http://evil.example", 403, ""),
    ] {
        let response = sign_in(&server, token, origin).await;
        assert_eq!((response.status().as_u16(), header(&response, "set-cookie")), (expected, ""), "{token}");
        let body = json_of(response).await;
        assert!(body["error"]["message"].as_str().unwrap_or_default().contains(word), "{token}: {body}");
    }
    let json = [("content-type", "application/json")];
    for (headers, body, expected) in [
        (&json[..], "{}", 400),
        (&json[..], "[", 400),
        (&[][..], "{\"token\":\"viewer-token-0123456789\"}", 415),
        (&json[..], &"x".repeat(5000), 413),
    ] {
        assert_eq!(ask(&server, "POST", SESSION, headers, body).await.status(), expected, "{headers:?}");
    }
}

#[tokio::test]
async fn after_ten_wrong_tokens_the_right_one_waits_too() {
    let server = Server::with(|api| api.tokens = Tokens::parse(TOKENS).unwrap());
    let ours = "http://engine.example:4300";
    for _ in 0..10 {
        assert_eq!(sign_in(&server, "nobody-token-0123456789", ours).await.status(), 401);
    }
    let response = sign_in(&server, "viewer-token-0123456789", ours).await;
    assert_eq!((response.status().as_u16(), header(&response, "retry-after")), (429, "6"));
    // Who shows it as a bearer is not the one who guesses in a form.
    let bearer = [("authorization", "Bearer viewer-token-0123456789")];
    assert_eq!(ask(&server, "GET", SESSION, &bearer, "").await.status(), 200);
}

#[tokio::test]
async fn without_tokens_there_is_nothing_to_sign_in_to() {
    let server = Server::new();
    assert_eq!(server.get(SESSION).await, (200, json!({"role": "admin", "by": "nothing"})));
    let (status, body) = server.post_json(SESSION, json!({"token": "whatever"})).await;
    assert_eq!((status, body), (200, json!({"role": "admin", "expires_in_seconds": null})));
}
