//! Who gets through, by token, by session and by neither.

use super::*;

const FILE: &str = "# ours\nviewer viewer-token-0123456789\ningest ingest-token-0123456789\nadmin-token-0123456789\n";

fn status(tokens: &Tokens, headers: &[(&str, &str)], method: &str, path: &str) -> u16 {
    status_at(tokens, 0, headers, method, path)
}

fn status_at(tokens: &Tokens, ms: i64, headers: &[(&str, &str)], method: &str, path: &str) -> u16 {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(header::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    match check(tokens, Now { ns: 0, ms }, &map, &path.parse().unwrap(), method == "GET") {
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
    let cookie = |role| format!("a=b; apm_session_4300={}", tokens.sessions().open(role, 0, None));
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
    let ends = |line, said: &str| Some(TokenError::Ends { line, said: said.into() });
    assert_eq!(Tokens::parse("viewer 0123456789abcdef tomorrow").err(), ends(1, "tomorrow"));
    assert_eq!(Tokens::parse("viewer 0123456789abcdef 2027-01-01T00:00:00Z or-so").err(), ends(1, "or-so"));
}

#[test]
fn a_token_ends_when_its_line_says() {
    let file = "deployer deployer-0123456789 1970-01-01T00:00:10+00:00 # for the release\nviewer viewer-token-0123456789\n\
                viewer again-0123456789 1970-01-01T00:00:01Z\nadmin again-0123456789\n";
    let tokens = Tokens::parse(file).unwrap();
    let check = |token: &str, at_ms: i64, expect: u16| {
        let bearer = format!("Bearer {token}");
        let found = status_at(&tokens, at_ms, &[("authorization", &bearer)], "GET", "/apm/v1/deployments");
        assert_eq!(found, expect, "{token} at {at_ms}");
    };
    check("deployer-0123456789", 9_999, 200);
    check("deployer-0123456789", 10_000, 401);
    check("viewer-token-0123456789", i64::MAX, 200);
    // Written anew under the same token: the line that holds counts.
    check("again-0123456789", 2_000, 200);
    assert_eq!(tokens.look("deployer-0123456789", 4_000), Shown::Good(Role::Deployer, Some(6_000)));
    assert_eq!(tokens.for_looking(), Some("viewer-token-0123456789"), "one that lasts");
}
