//! Loki's API as Grafana and logcli use it.

use super::*;

const NOW_NS: i64 = NOW_MS * 1_000_000;
const S: i64 = 1_000_000_000;

/// Three lines of `cart` 30, 20 and 10 seconds ago, one of `mail` 20 seconds ago.
async fn server() -> Server {
    let server = Server::new();
    push(&server).await;
    server
}

async fn push(server: &Server) {
    let ns = |seconds: i64| (NOW_NS + seconds * S).to_string();
    let cart = json!([
        [ns(-30), "level=info msg=first"],
        [ns(-20), "level=error msg=second", {"trace_id": "abc"}],
        [ns(-10), "third \"quoted\"\n\u{1}"],
    ]);
    let body = json!({"streams": [
        {"stream": {"service_name": "cart", "env": "prod"}, "values": cart},
        {"stream": {"service_name": "mail"}, "values": [[ns(-20), "sent"]]},
    ]});
    assert_eq!(server.post_json("/loki/api/v1/push", body).await.0, 204);
}

fn answer(kind: &str, result: Value, lines: u64, bytes: u64) -> Value {
    let stats = json!({"summary": {"totalBytesProcessed": bytes, "totalLinesProcessed": lines}});
    json!({"status": "success", "data": {"resultType": kind, "result": result, "stats": stats}})
}

async fn check(server: &Server, path: &str, params: &[(&str, &str)], expected: (u16, Value)) {
    assert_eq!(server.get_with(path, params).await, expected, "GET {path} {params:?}");
    assert_eq!(server.post_form(path, params).await, expected, "POST {path} {params:?}");
}

fn at(seconds: i64) -> String {
    (NOW_NS + seconds * S).to_string()
}

#[tokio::test]
async fn lines_by_stream() {
    let server = server().await;
    let path = "/loki/api/v1/query_range";
    let mail =
        json!([{"stream": {"service_name": "mail", "detected_level": "unknown"}, "values": [[at(-20), "sent"]]}]);
    check(&server, path, &[("query", r#"{service_name="mail"}"#)], (200, answer("streams", mail, 1, 4))).await;
    check(&server, path, &[("query", r#"{service_name="none"}"#)], (200, answer("streams", json!([]), 0, 0))).await;

    // What differs in structured metadata is a stream of its own, newest first by default.
    let (_, found) = server.get_with(path, &[("query", r#"{service_name="cart"}"#)]).await;
    let result = found["data"]["result"].as_array().unwrap();
    let lines = |i: usize| result[i]["values"].clone();
    let of = |level: &str, trace: &str| {
        let fits = |r: &Value| {
            r["stream"]["detected_level"] == level
                && r["stream"]["trace_id"].as_str() == (!trace.is_empty()).then_some(trace)
        };
        result.iter().position(fits).unwrap_or_else(|| panic!("{level} {trace}: {found}"))
    };
    assert_eq!(lines(of("error", "abc")), json!([[at(-20), "level=error msg=second"]]));
    assert_eq!(lines(of("info", "")), json!([[at(-30), "level=info msg=first"]]));
    assert_eq!(lines(of("unknown", "")), json!([[at(-10), "third \"quoted\"\n\u{1}"]]));
}

/// The lines of an answer, whatever their streams.
async fn lines(server: &Server, params: &[(&str, &str)]) -> Vec<String> {
    let (status, found) = server.get_with("/loki/api/v1/query_range", params).await;
    assert_eq!(status, 200, "{params:?} {found}");
    let streams = found["data"]["result"].as_array().unwrap().clone();
    let entries = streams.iter().flat_map(|s| s["values"].as_array().unwrap().clone());
    let mut lines: Vec<_> =
        entries.map(|e| e[1].as_str().unwrap().split([' ', '\n']).next().unwrap().to_owned()).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn limit_direction_and_range() {
    let server = server().await;
    let all = ("query", r#"{service_name="cart"}"#);
    let (info, error, third) = ("level=info", "level=error", "third");
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let table: [Case<'_>; 12] = [
        (&[], &[error, info, third]),
        (&[("limit", "1")], &[third]),
        (&[("limit", "2"), ("direction", "BACKWARD")], &[error, third]),
        (&[("limit", "1"), ("direction", "forward")], &[info]),
        // No limit is Loki's own of 100.
        (&[("limit", "0")], &[error, info, third]),
        (&[("since", "25s")], &[error, third]),
        (&[("since", "15")], &[third]),
        (&[("start", &at(-30)), ("end", &at(-10))], &[error, info]),
        (&[("start", &at(-30)), ("end", &at(-20))], &[info]),
        (&[("start", "1699999975"), ("end", "1700000000")], &[error, third]),
        (&[("start", "2023-11-14T22:12:55.5Z")], &[error, third]),
        (&[("end", "1699999975.5"), ("since", "1h")], &[info]),
    ];
    for (params, expected) in table {
        let asked: Vec<_> = std::iter::once(all).chain(params.iter().copied()).collect();
        assert_eq!(lines(&server, &asked).await, expected, "{params:?}");
    }
}

#[tokio::test]
async fn labels_apart_for_clients_that_ask() {
    let server = server().await;
    let query = form(&[("query", r#"{service_name="cart"} | logfmt | level="error""#)]);
    let flags = [("x-loki-response-encoding-flags", "other, categorize-labels")];
    let reply = server.ask("GET", &format!("/loki/api/v1/query_range?{query}"), &flags, Body::empty()).await;
    let found: Value = serde_json::from_slice(&reply.bytes).unwrap();
    assert_eq!(found["data"]["encodingFlags"], json!(["categorize-labels"]));
    let apart = json!({
        "structuredMetadata": {"detected_level": "error", "trace_id": "abc"},
        "parsed": {"level": "error", "msg": "second"},
    });
    let stream = json!({"env": "prod", "service_name": "cart"});
    let entry = json!([at(-20), "level=error msg=second", apart]);
    assert_eq!(found["data"]["result"], json!([{"stream": stream, "values": [entry]}]));
    // Nothing parsed: only metadata. Nothing at all: an empty object.
    let query = form(&[("query", r#"{service_name="cart"} |= "second" | drop detected_level, trace_id"#)]);
    let reply = server.ask("GET", &format!("/loki/api/v1/query_range?{query}"), &flags, Body::empty()).await;
    let found: Value = serde_json::from_slice(&reply.bytes).unwrap();
    assert_eq!(found["data"]["result"][0]["values"], json!([[at(-20), "level=error msg=second", {}]]));
    let query = form(&[("query", r#"{service_name="cart"} |= "second" | drop detected_level, trace_id | logfmt msg"#)]);
    let reply = server.ask("GET", &format!("/loki/api/v1/query_range?{query}"), &flags, Body::empty()).await;
    let found: Value = serde_json::from_slice(&reply.bytes).unwrap();
    assert_eq!(found["data"]["result"][0]["values"][0][2], json!({"parsed": {"msg": "second"}}));
}

#[tokio::test]
async fn numbers() {
    let server = server().await;
    let count = r#"sum by (service_name) (count_over_time({service_name=~".+"}[15s]))"#;
    let params = [("query", count), ("start", &at(-20)), ("end", &at(-10)), ("step", "10")];
    let series = |name: &str, values: Value| json!({"metric": {"service_name": name}, "values": values});
    let (early, late) = (1_699_999_980, 1_699_999_990);
    // (from, to]: at -20 s the lines of -30 and -20 count, at -10 s those of -20 and -10.
    let result =
        json!(
            [series("cart", json!([[early, "2"], [late, "2"]])), series("mail", json!([[early, "1"], [late, "1"]])),]
        );
    let bytes =
        ("level=info msg=first".len() + "level=error msg=second".len() + "third \"quoted\"\n\u{1}".len() + 4) as u64;
    check(&server, "/loki/api/v1/query_range", &params, (200, answer("matrix", result, 4, bytes))).await;
    let now = json!([{"metric": {}, "value": [1_699_999_990.5, "3"]}]);
    let sum = r#"sum(count_over_time({service_name="cart"}[1h]))"#;
    let params = [("query", sum), ("time", "1699999990.5")];
    let cart_bytes = bytes - 4;
    check(&server, "/loki/api/v1/query", &params, (200, answer("vector", now, 3, cart_bytes))).await;
    let half = json!([1_700_000_000, "0.5"]);
    check(&server, "/loki/api/v1/query", &[("query", "1/2")], (200, answer("scalar", half, 0, 0))).await;
    // 11,000 intervals are allowed, one more is not.
    let most = [("query", "vector(1)"), ("start", "0"), ("end", "11000"), ("step", "1")];
    let (status, found) = server.get_with("/loki/api/v1/query_range", &most).await;
    assert_eq!((status, found["data"]["result"][0]["values"].as_array().map(Vec::len)), (200, Some(11_001)));
    // Without a step about 250 points of whole seconds.
    let default = [("query", "vector(1)"), ("start", "0"), ("end", "750")];
    let (_, found) = server.get_with("/loki/api/v1/query_range", &default).await;
    assert_eq!(found["data"]["result"][0]["values"][1], json!([3, "1"]));
}

#[tokio::test]
async fn labels_and_series() {
    let server = server().await;
    let ok = |data: Value| (200, json!({"status": "success", "data": data}));
    check(&server, "/loki/api/v1/labels", &[], ok(json!(["env", "service_name"]))).await;
    let mail = [("query", r#"{service_name="mail"}"#)];
    check(&server, "/loki/api/v1/labels", &mail, ok(json!(["service_name"]))).await;
    check(&server, "/loki/api/v1/labels", &[("since", "5s")], ok(json!([]))).await;
    check(&server, "/loki/api/v1/label/service_name/values", &[], ok(json!(["cart", "mail"]))).await;
    check(&server, "/loki/api/v1/label/service_name/values", &mail, ok(json!(["mail"]))).await;
    check(&server, "/loki/api/v1/label/none/values", &[], ok(json!([]))).await;
    let cart = json!({"env": "prod", "service_name": "cart"});
    for name in ["match", "match[]"] {
        let selector = [(name, r#"{service_name="cart"}"#)];
        check(&server, "/loki/api/v1/series", &selector, ok(json!([cart]))).await;
        let two = [(name, r#"{service_name="cart"}"#), (name, r#"{service_name="mail"}"#)];
        check(&server, "/loki/api/v1/series", &two, ok(json!([cart, {"service_name": "mail"}]))).await;
    }
}

#[tokio::test]
async fn bad_parameters_get_plain_text() {
    let server = server().await;
    let before = "end timestamp must not be before or equal to start time";
    let range = "/loki/api/v1/query_range?query=%7Ba%3D%22b%22%7D";
    let table: [(&str, &str, &str); 16] = [
        ("/loki/api/v1/query", "", "invalid parameter \"query\": it is missing"),
        ("/loki/api/v1/query_range", "", "invalid parameter \"query\": it is missing"),
        (range, "&start=x", "invalid parameter \"start\": cannot parse \"x\" to a valid timestamp"),
        (range, "&end=x", "invalid parameter \"end\": cannot parse \"x\" to a valid timestamp"),
        (range, "&since=x", "invalid parameter \"since\": cannot parse \"x\" to a valid duration"),
        (range, "&start=2&end=1", before),
        (range, "&limit=-1", "invalid parameter \"limit\": `-1` is not a whole number"),
        (
            range,
            "&limit=5001",
            "max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)",
        ),
        (range, "&direction=up", "invalid direction 'up': it is `forward` or `backward`"),
        (range, "&step=0", "zero or negative query resolution step widths are not accepted. Try a positive integer"),
        (range, "&step=x", "invalid parameter \"step\": cannot parse \"x\" to a valid duration"),
        (
            range,
            "&start=0&end=11001&step=1",
            "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
        ),
        (
            "/loki/api/v1/query?query=%7Ba%3D%22b%22%7D",
            "",
            "log queries are not supported as an instant query type, please change your query to a range query type",
        ),
        (
            "/loki/api/v1/query?query=1&time=x",
            "",
            "invalid parameter \"time\": cannot parse \"x\" to a valid timestamp",
        ),
        (
            "/loki/api/v1/series?match=%7Ba%3D%22b%22%7D+%7C%3D+%22c%22",
            "",
            "only label matchers are supported, such as {job=\"app\"}, not {a=\"b\"} |= \"c\"",
        ),
        ("/loki/api/v1/labels?start=2&end=1", "", before),
    ];
    for (path, params, text) in table {
        let reply = server.ask("GET", &format!("{path}{params}"), &[], Body::empty()).await;
        assert_eq!((reply.status, reply.text()), (400, format!("{text}\n")), "{path}{params}");
        assert!(reply.header("content-type").starts_with("text/plain"), "{path}{params}");
    }
    for path in ["/loki/api/v1/series?match=%7B", "/loki/api/v1/labels?query=%7B", "/loki/api/v1/query?query=%7B"] {
        let (status, text) = server.get(path).await;
        assert_eq!(status, 400);
        assert!(text.as_str().is_some_and(|t| t.starts_with("parse error at line 1, col ")), "{path}: {text}");
    }
}

#[tokio::test]
async fn faults_have_lokis_status() {
    let server = Server::with(|api| {
        let timeout = std::time::Duration::from_millis(30);
        api.queries = Queries::new(QueryLimits { concurrency: 2, timeout, memory_bytes: 1 << 20 });
    });
    let range = "/loki/api/v1/query_range?query=%7Ba%3D%22b%22%7D";
    let budget = SourceError::Budget { wanted_bytes: 2, limit_bytes: 1 };
    let storage = SourceError::Storage { reason: "seg-1: bad checksum".into() };
    let table = [
        (Fault::Error(budget), range, 400),
        (Fault::Error(SourceError::Cancelled), range, 499),
        (Fault::Error(storage.clone()), range, 500),
        (Fault::Error(storage), "/loki/api/v1/labels", 500),
        (Fault::Panic, "/loki/api/v1/labels", 500),
        (Fault::Hang, range, 504),
    ];
    for (fault, path, status) in table {
        server.fault(fault.clone());
        let (got, text) = server.get(path).await;
        assert_eq!(got, status, "{fault:?} {path}: {text}");
        assert!(text.as_str().is_some_and(|t| t.ends_with('\n')), "{text}");
    }
}

#[tokio::test]
async fn lines_are_found_by_their_tenant_only_if_it_is_named() {
    let server = shared_server();
    let why = "no org id: with tenancy on, a request needs the header X-Scope-OrgID\n";
    for path in ["/loki/api/v1/labels", "/loki/api/v1/series", "/loki/api/v1/query?query=1"] {
        assert_eq!(server.get(path).await, (400, json!(why)), "{path}");
    }
}

#[tokio::test]
async fn which_loki_this_is() {
    let server = Server::new();
    assert_eq!(server.get("/loki/ready").await, (200, json!("ready\n")));
    let (status, found) = server.get("/loki/api/v1/status/buildinfo").await;
    assert!(status == 200 && found["version"].as_str().is_some_and(|v| v.starts_with("3.")), "{found}");
}
