//! Who gets through, by token, by session and by neither.

use super::*;

const FILE: &str = "# ours\nviewer viewer-token-0123456789\ningest ingest-token-0123456789\nadmin-token-0123456789\n";

fn status(tokens: &Tokens, headers: &[(&str, &str)], method: &str, path: &str) -> u16 {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(header::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    match check(tokens, 0, &map, &path.parse().unwrap(), method == "GET") {
        Ok(_) => 200,
        Err((status, _)) => status.as_u16(),
    }
}

#[test]
fn roles() {
    let tokens = Tokens::parse(FILE).unwrap();
    let bearer = |token: &str| format!("Bearer {token}-token-0123456789");
    let basic = format!("Basic {}", STANDARD.encode("me:viewer-token-0123456789"));
    let table = [
        ("", "GET", "/api/v1/query", 401),
        ("Bearer nobody", "GET", "/api/v1/query", 401),
        (&bearer("viewer"), "GET", "/api/v1/query", 200),
        (&basic, "POST", "/api/v1/query", 200),
        (&bearer("viewer"), "POST", "/api/v1/write", 403),
        (&bearer("viewer"), "POST", "/-/flush", 403),
        (&bearer("ingest"), "POST", "/v1/traces", 200),
        (&bearer("ingest"), "GET", "/api/v1/query", 403),
        (&bearer("admin"), "POST", "/-/flush", 200),
        ("", "GET", "/-/ready", 200),
        ("", "GET", "/metrics", 401),
        ("", "GET", "/ui/services/cart", 200),
        ("", "GET", "/uinvited", 401),
        ("", "POST", "/apm/v1/session", 200),
        ("", "GET", "/apm/v1/session", 401),
    ];
    for (given, method, path, expected) in table {
        let headers = if given.is_empty() { vec![] } else { vec![("authorization", given)] };
        assert_eq!(status(&tokens, &headers, method, path), expected, "{given} {method} {path}");
    }
}

#[test]
fn one_token_more_opens_what_its_role_may_and_leaves_the_others() {
    let tokens = Tokens::parse(FILE).unwrap().and(Role::Ingest, "the-demo-0123456789");
    let as_demo = [("authorization", "Bearer the-demo-0123456789")];
    assert_eq!(status(&tokens, &as_demo, "POST", "/v1/traces"), 200);
    assert_eq!(status(&tokens, &as_demo, "GET", "/api/v1/query"), 403);
    let as_viewer = [("authorization", "Bearer viewer-token-0123456789")];
    assert_eq!(status(&tokens, &as_viewer, "GET", "/api/v1/query"), 200);
}

#[test]
fn a_session_counts_as_its_token_but_changes_things_only_for_our_page() {
    let tokens = Tokens::parse(FILE).unwrap();
    let cookie = |role| format!("a=b; apm_session_4300={}", tokens.sessions().open(role, 0));
    let (admin, viewer) = (cookie(Role::Admin), cookie(Role::Viewer));
    let ours = ("origin", "http://engine.example:4300");
    let table = [
        (viewer.as_str(), "GET", "/api/v1/query", None, 200),
        (viewer.as_str(), "POST", "/api/v1/query", Some(ours), 200),
        (viewer.as_str(), "POST", "/-/flush", Some(ours), 403),
        (admin.as_str(), "POST", "/-/flush", Some(ours), 200),
        (admin.as_str(), "POST", "/-/flush", None, 403),
        (admin.as_str(), "POST", "/-/flush", Some(("origin", "http://engine.example:9999")), 403),
        (admin.as_str(), "POST", "/-/flush", Some(("origin", "null")), 403),
        (admin.as_str(), "POST", "/-/flush", Some(("sec-fetch-site", "same-origin")), 200),
        (admin.as_str(), "POST", "/-/flush", Some(("sec-fetch-site", "same-site")), 403),
        (admin.as_str(), "DELETE", "/apm/v1/session", Some(("sec-fetch-site", "cross-site")), 403),
        ("apm_session_4300=0", "GET", "/api/v1/query", None, 401),
        (&admin.replace("4300", "4301"), "GET", "/api/v1/query", None, 401),
    ];
    for (cookie, method, path, more, expected) in table {
        let mut headers = vec![("host", "engine.example:4300"), ("cookie", cookie)];
        headers.extend(more);
        assert_eq!(status(&tokens, &headers, method, path), expected, "{cookie} {method} {path} {more:?}");
    }
}

#[test]
fn without_a_token_other_sites_stay_out() {
    let none = Tokens::default();
    let table = [
        (vec![("host", "127.0.0.1:4300")], 200),
        (vec![("host", "[::1]:4300")], 200),
        (vec![("host", "localhost:4300"), ("origin", "http://localhost:4300")], 200),
        (vec![("host", "evil.example:4300")], 403),
        (vec![("host", "localhost:4300"), ("origin", "http://evil.example")], 403),
        (vec![("host", "localhost:4300"), ("origin", "http://localhost:9999")], 403),
    ];
    for (headers, expected) in table {
        assert_eq!(status(&none, &headers, "POST", "/v1/traces"), expected, "{headers:?}");
    }
}

#[test]
fn token_files_are_checked() {
    assert_eq!(Tokens::parse("boss 0123456789abcdef").err(), Some(TokenError::Role { line: 1 }));
    assert_eq!(Tokens::parse("\nviewer short").err(), Some(TokenError::Short { line: 2 }));
}
