//! The rules for heads, as tables: what a client or upstream sends, and what the other side gets.

use super::*;

fn head(text: &str) -> Parts {
    let mut lines = text.split('\n').map(str::trim);
    let first: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let version = match first[2] {
        "2" => Version::HTTP_2,
        "1.0" => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let mut request = http::Request::builder().method(first[0]).uri(first[1]).version(version);
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    request.body(()).unwrap().into_parts().0
}

fn shown(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines
}

/// The head as it goes to an HTTP/1.1 upstream, without the lines that are always there.
fn check(text: &str, expect: &[&str]) {
    check_to(text, false, expect);
}

fn check_to(text: &str, to_h2: bool, expect: &[&str]) {
    let mut head = head(text);
    assert_eq!(refusal(&head), None, "{text}");
    let wanted = upgrade(head.version, &head.headers);
    to_upstream(&mut head, &HeaderValue::from_static("192.0.2.1"), wanted, to_h2);
    let mut lines = vec![format!("{} {}", head.method, head.uri)];
    let added = ["x-forwarded-for: 192.0.2.1", "x-forwarded-proto: http", "x-forwarded-host: a", "via: 1.1 apm-front"];
    lines.extend(shown(&head.headers).into_iter().filter(|line| !added.contains(&line.as_str())));
    assert_eq!(lines, expect, "{text}");
}

#[test]
fn what_an_upstream_gets() {
    check("GET /x?y=1 1.1\nhost: a", &["GET /x?y=1", "host: a"]);
    // Hop-by-hop, named or not.
    check(
        "GET / 1.1\nhost: a\nconnection: close, X-Secret\nx-secret: 1\nkeep-alive: 5\nproxy-connection: x\nte: gzip\nx-kept: 1",
        &["GET /", "host: a", "x-kept: 1"],
    );
    check(
        "GET / 1.1\nhost: a\nconnection: host, content-length\ncontent-length: 0",
        &["GET /", "content-length: 0", "host: a"],
    );
    check("POST / 1.1\nhost: a\ntransfer-encoding: chunked\nexpect: 100-continue", &["POST /", "host: a"]);
    // Kept, and added to at the end.
    check(
        "GET / 1.1\nhost: a\nx-forwarded-for: 1.1.1.1\nx-forwarded-for: 2.2.2.2\nx-forwarded-proto: https\nx-forwarded-host: b",
        &[
            "GET /",
            "host: a",
            "x-forwarded-for: 1.1.1.1, 2.2.2.2, 192.0.2.1",
            "x-forwarded-host: b",
            "x-forwarded-proto: https",
        ],
    );
    check("GET / 1.1\nhost: a\nvia: 1.0 old", &["GET /", "host: a", "via: 1.0 old, 1.1 apm-front"]);
    check(
        "GET / 1.1\nhost: a\ntraceparent: 00-1-2-01\ntracestate: a=b\nforwarded: for=1",
        &["GET /", "forwarded: for=1", "host: a", "traceparent: 00-1-2-01", "tracestate: a=b"],
    );
    // Targets: an absolute one overrules Host; a user in it is no part of the host.
    check("GET http://a/x 1.1\nhost: other", &["GET /x", "host: a"]);
    check("GET http://me:pw@a/x 1.1\nhost: other", &["GET /x", "host: a"]);
    check("OPTIONS * 1.1\nhost: a", &["OPTIONS *", "host: a"]);
    // Upgrades pass; h2c does not.
    check(
        "GET / 1.1\nhost: a\nconnection: keep-alive, Upgrade\nupgrade: websocket\nsec-websocket-key: k",
        &["GET /", "connection: upgrade", "host: a", "sec-websocket-key: k", "upgrade: websocket"],
    );
    check(
        "GET / 1.1\nhost: a\nconnection: upgrade, http2-settings\nupgrade: h2c\nhttp2-settings: x",
        &["GET /", "host: a"],
    );
    check("GET / 1.1\nhost: a\nupgrade: websocket", &["GET /", "host: a"]);
    // From h2: Host from the authority, one line of cookies.
    check("GET http://a/x 2\ncookie: a=1\ncookie: b=2", &["GET /x", "cookie: a=1; b=2", "host: a", "via: 2 apm-front"]);
    // To h2: no Host, an absolute target, trailers asked for.
    check_to("POST http://a/x 2\nte: trailers", true, &["POST http://a/x", "te: trailers", "via: 2 apm-front"]);
    check_to("GET /x 1.1\nhost: a\nte: trailers, deflate", true, &["GET http://a/x", "te: trailers"]);
}

#[test]
fn what_is_refused() {
    let check = |text: &str, status: u16| {
        assert_eq!(refusal(&head(text)).map(|refusal| refusal.status), Some(status), "{text}");
    };
    check("GET / 1.1", 400);
    check("GET / 1.1\nhost: a\nhost: b", 400);
    check("GET / 1.1\nhost: a\nhost: a", 400);
    check("GET / 1.1\nhost: a, b", 400);
    check("GET / 1.1\nhost: a/b", 400);
    check("GET / 1.1\nhost: me@a", 400);
    check("GET * 1.1\nhost: a", 400);
    check("CONNECT a:443 1.1\nhost: a", 501);
    check("GET / 1.1\nhost: a\nconnection: upgrade\nupgrade: websocket\ntransfer-encoding: chunked", 400);
    // HTTP/1.0 may come without a Host.
    assert_eq!(refusal(&head("GET / 1.0")), None);
}

#[test]
fn what_a_client_gets() {
    let check = |status: u16, lines: &[(&'static str, &'static str)], expect: &[&str]| {
        let mut answer = http::Response::builder().status(status);
        for (name, value) in lines {
            answer = answer.header(*name, *value);
        }
        let mut head = answer.body(()).unwrap().into_parts().0;
        to_client(&mut head);
        assert_eq!(shown(&head.headers), expect);
    };
    check(200, &[("connection", "close, x-a"), ("x-a", "1"), ("x-b", "2")], &["via: 1.1 apm-front", "x-b: 2"]);
    check(200, &[("keep-alive", "5"), ("transfer-encoding", "chunked")], &["via: 1.1 apm-front"]);
    check(
        200,
        &[("upgrade", "h2c"), ("set-cookie", "a"), ("set-cookie", "b")],
        &["set-cookie: a", "set-cookie: b", "via: 1.1 apm-front"],
    );
    check(
        101,
        &[("connection", "Upgrade"), ("upgrade", "websocket")],
        &["connection: upgrade", "upgrade: websocket", "via: 1.1 apm-front"],
    );
}
