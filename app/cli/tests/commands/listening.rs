//! Who may listen, who holds what, and what a token allows.

use rustix::process::Signal;

use crate::engine::{Engine, up};
use crate::home::Home;

/// How a start is refused: the exit code, and stderr with this home and pid masked.
fn refused(home: &Home, words: &[&str], pid: u32) -> (Option<i32>, String) {
    let ended = home.start(&mut up(home, words)).ended();
    assert_eq!(ended.stdout, "");
    (ended.code, home.masked(&ended.stderr).replace(&format!("pid {pid}"), "pid PID"))
}

#[test]
fn a_second_engine_is_told_who_holds_the_folder_and_the_port() {
    let home = Home::new();
    let engine = Engine::start(&home, &["--data", "here"]);
    let in_use = "error: the data folder HOME/shop/here is in use
 |
 = because: another engine (pid PID) runs on it
 = help: use that one, stop it, or give another folder with --data
";
    let data = refused(&home, &["--data", "here"], engine.pid());
    assert_eq!(data, (Some(3), in_use.to_owned()));

    let check = |flag: &str, address: &str, name: &str| {
        let port = address.rsplit(':').next().unwrap_or_default();
        let mut command = home.apm(&["up", "--data", "elsewhere"]);
        for one in ["--listen", "--otlp-grpc", "--otlp-http"] {
            command.args([one, if one == flag { port } else { "127.0.0.1:0" }]);
        }
        let ended = home.start(&mut command).ended();
        let expect = format!(
            "error: the port {port} of {name} is taken
 |
 = because: `apm` (pid {}) holds it
 = help: stop it, or choose another: `{flag} 127.0.0.1:0` takes any free port
",
            engine.pid()
        );
        assert_eq!((ended.code, ended.stderr), (Some(3), expect));
    };
    check("--listen", &engine.url, "the page and its APIs");
    check("--otlp-grpc", &engine.otlp_grpc, "OTLP over gRPC");
    check("--otlp-http", &engine.otlp_http, "OTLP over HTTP");
    // The lock and the ports are free after the end.
    engine.process().signal(Signal::INT);
    assert_eq!(engine.terminate().code, Some(0));
    assert_eq!(Engine::start(&home, &["--data", "here"]).terminate().code, Some(0));
}

const TOKENS: &str = "\
viewer   viewer-0123456789
ingest   ingest-0123456789   # the collectors
deployer deploy-0123456789
admin-only-0123456
";

/// Who asks, how, and the status.
const ROLES: &[(&str, &str, &str, u16)] = &[
    ("", "GET", "/-/ready", 200),
    ("", "GET", "/api/v1/labels", 401),
    ("nobody-0123456789", "GET", "/api/v1/labels", 401),
    ("viewer-0123456789", "GET", "/api/v1/labels", 200),
    ("viewer-0123456789", "GET", "/metrics", 200),
    ("viewer-0123456789", "POST", "/v1/logs", 403),
    ("viewer-0123456789", "POST", "/-/flush", 403),
    ("ingest-0123456789", "POST", "/v1/logs", 200),
    ("ingest-0123456789", "POST", "/-/flush", 403),
    ("deploy-0123456789", "GET", "/api/v1/labels", 200),
    ("deploy-0123456789", "POST", "/-/reload", 403),
    ("admin-only-0123456", "POST", "/-/flush", 200),
    ("admin-only-0123456", "POST", "/v1/logs", 200),
    ("from-the-shell-0123", "POST", "/-/compact", 200),
];

#[test]
fn a_token_allows_what_its_role_does() {
    let home = Home::new();
    home.write("tokens.txt", TOKENS);
    let mut command = up(&home, &["--token-file", "tokens.txt"]);
    let engine = Engine::start_as(&home, command.env("APM_TOKEN", "from-the-shell-0123"), None);
    for (token, method, path, expect) in ROLES {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("content-type", "application/json")];
        if !token.is_empty() {
            headers.push(("authorization", bearer.as_str()));
        }
        let body = if path.starts_with("/v1/") { "{}" } else { "" };
        let reply = crate::http::ask(method, &format!("{}{path}", engine.url), &headers, body).unwrap();
        assert_eq!(reply.status, *expect, "{method} {path} as `{token}`: {}", reply.body);
    }
    assert_eq!(engine.terminate().code, Some(0));
}

#[test]
fn ports_that_are_off_are_not_taken_and_the_main_one_takes_all() {
    let home = Home::new();
    let mut command = home.apm(&["up", "-v", "--no-color", "--listen", "127.0.0.1:0", "--otlp-grpc", "off"]);
    let engine = Engine::start_as(&home, command.args(["--otlp-http", "off"]), None);
    let greeting = engine.process().stdout();
    assert!(!greeting.contains("otlp"), "{greeting}");
    assert!(greeting.contains("kept 15 days"), "{greeting}");
    assert!(engine.process().stderr().contains("data folder opened"), "-v says more");
    let status = engine.status();
    assert_eq!(status["listeners"].as_array().map(Vec::len), Some(1), "{status}");
    let default = status["memory"]["limit_bytes"].as_u64().unwrap();
    assert!((512 << 20..=4 << 30).contains(&default), "{default} bytes by default");
    // The main port takes OTLP as well.
    let reply = engine.ask("POST", "/v1/logs", "{}");
    assert_eq!(reply.status, 415, "without a content type: {}", reply.body);
    assert_eq!(engine.terminate().code, Some(0));
}
