//! The Prometheus API as Grafana, promtool and curl use it.

use base_signal::{Buckets, CounterReset, NativeHistogram, SpanRun};

use super::*;

/// Two `up` series and a third family, each with points at 0, 60 and 120 seconds.
pub(super) fn server() -> Server {
    let server = Server::new();
    let points = |values: [f64; 3]| [(0, values[0]), (60_000, values[1]), (120_000, values[2])];
    server.metric(&[("__name__", "up"), ("job", "a")], &points([1.0, 0.0, 1.0]));
    server.metric(&[("__name__", "up"), ("job", "b")], &points([1.0, 1.0, 1.5]));
    server.metric(
        &[("__name__", "load"), ("host.name", "h\n\r\t\\\"1\""), ("job", "c")],
        &points([0.25, 0.5, f64::INFINITY]),
    );
    server
}

pub(super) fn ok(data: Value) -> Value {
    json!({"status": "success", "data": data})
}

pub(super) fn error(kind: &str, text: &str) -> Value {
    json!({"status": "error", "errorType": kind, "error": text})
}

/// The same request as GET and as a posted form.
pub(super) async fn check(server: &Server, path: &str, params: &[(&str, &str)], expected: (u16, Value)) {
    assert_eq!(server.get_with(path, params).await, expected, "GET {path} {params:?}");
    assert_eq!(server.post_form(path, params).await, expected, "POST {path} {params:?}");
}

async fn instant(server: &Server, query: &str, time: &str, data: Value) {
    check(server, "/api/v1/query", &[("query", query), ("time", time)], (200, ok(data))).await;
}

#[tokio::test]
async fn every_kind_of_instant_answer() {
    let server = server();
    let vector = |result: Value| json!({"resultType": "vector", "result": result});
    let up = |job: &str, value: Value| json!({"metric": {"__name__": "up", "job": job}, "value": value});
    let both = vector(json!([up("a", json!([120, "1"])), up("b", json!([120, "1.5"]))]));
    instant(&server, "up", "120", both.clone()).await;
    instant(&server, "up", "1970-01-01T00:02:00Z", both).await;
    instant(&server, "up == 0", "60.5", vector(json!([up("a", json!([60.5, "0"]))]))).await;
    instant(&server, "nothing", "60", vector(json!([]))).await;
    let load =
        json!({"metric": {"__name__": "load", "host.name": "h\n\r\t\\\"1\"", "job": "c"}, "value": [120, "+Inf"]});
    instant(&server, r#"{"load","host.name"=~"h.*"}"#, "120", vector(json!([load]))).await;
    let scalar = |text: &str| json!({"resultType": "scalar", "result": [0, text]});
    for (query, text) in [
        ("1.5", "1.5"),
        ("1/0", "+Inf"),
        ("-1/0", "-Inf"),
        ("0/0", "NaN"),
        ("2e21", "2e+21"),
        ("1e-7", "1e-07"),
        ("scalar(up)", "NaN"),
    ] {
        instant(&server, query, "0", scalar(text)).await;
    }
    instant(&server, r#""a\"b""#, "1.25", json!({"resultType": "string", "result": [1.25, "a\"b"]})).await;
    let values = json!([[60, "0"], [120, "1"]]);
    let matrix =
        json!({"resultType": "matrix", "result": [{"metric": {"__name__": "up", "job": "a"}, "values": values}]});
    instant(&server, r#"up{job="a"}[2m]"#, "120", matrix).await;
}

#[tokio::test]
async fn without_a_time_it_is_now_and_a_lookback_may_be_wanted() {
    let server = Server::new();
    server.metric(&[("__name__", "up")], &[(NOW_MS - 240_000, 1.0)]);
    let found = |value| json!({"resultType": "vector", "result": value});
    let now = found(json!([{"metric": {"__name__": "up"}, "value": [1_700_000_000, "1"]}]));
    check(&server, "/api/v1/query", &[("query", "up")], (200, ok(now))).await;
    let none = found(json!([]));
    check(&server, "/api/v1/query", &[("query", "up"), ("lookback_delta", "3m")], (200, ok(none))).await;
}

#[tokio::test]
async fn ranges() {
    let server = server();
    let range = |query| [("query", query), ("start", "0"), ("end", "1970-01-01T00:02:00Z"), ("step", "1m")];
    let matrix = |result: Value| (200, ok(json!({"resultType": "matrix", "result": result})));
    let values = json!([[0, "1"], [60, "0"], [120, "1"]]);
    let up = json!([{"metric": {"__name__": "up", "job": "a"}, "values": values}]);
    check(&server, "/api/v1/query_range", &range(r#"up{job="a"}"#), matrix(up)).await;
    let two = json!([{"metric": {}, "values": [[0, "2"], [60, "2"], [120, "2"]]}]);
    check(&server, "/api/v1/query_range", &range("1+1"), matrix(two)).await;
    check(&server, "/api/v1/query_range", &range("nothing"), matrix(json!([]))).await;
    // The step in seconds with decimals.
    let fine = [("query", "vector(1)"), ("start", "0.5"), ("end", "1"), ("step", "0.25")];
    let points = json!([{"metric": {}, "values": [[0.5, "1"], [0.75, "1"], [1, "1"]]}]);
    check(&server, "/api/v1/query_range", &fine, matrix(points)).await;
    // 11,000 intervals are allowed, one more is not.
    let most = [("query", "vector(1)"), ("start", "0"), ("end", "11000"), ("step", "1")];
    let (status, found) = server.get_with("/api/v1/query_range", &most).await;
    assert_eq!((status, found["data"]["result"][0]["values"].as_array().map(Vec::len)), (200, Some(11_001)));
}

#[tokio::test]
async fn a_limit_cuts_series_and_says_so() {
    let server = server();
    let limited = |kind: &str, values: Value| {
        let series = json!([{"metric": {"__name__": "up", "job": "a"}, (if kind == "vector" { "value" } else { "values" }): values}]);
        let data = json!({"resultType": kind, "result": series});
        (200, json!({"status": "success", "data": data, "warnings": ["results truncated due to limit"]}))
    };
    let now = [("query", "up"), ("time", "0"), ("limit", "1")];
    check(&server, "/api/v1/query", &now, limited("vector", json!([0, "1"]))).await;
    let range = [("query", "up"), ("start", "0"), ("end", "0"), ("step", "1"), ("limit", "1")];
    check(&server, "/api/v1/query_range", &range, limited("matrix", json!([[0, "1"]]))).await;
    for limit in ["0", "2"] {
        let (_, whole) = server.get_with("/api/v1/query", &[("query", "up"), ("time", "0"), ("limit", limit)]).await;
        assert_eq!(whole["data"]["result"].as_array().map(Vec::len), Some(2), "{limit}");
        assert_eq!(whole["warnings"], Value::Null);
    }
    let scalar = ok(json!({"resultType": "scalar", "result": [0, "1"]}));
    check(&server, "/api/v1/query", &[("query", "1"), ("time", "0"), ("limit", "1")], (200, scalar)).await;
    let bad = error("bad_data", "invalid parameter \"limit\": limit must be non-negative");
    check(&server, "/api/v1/query", &[("query", "1"), ("limit", "-1")], (400, bad)).await;
}

#[tokio::test]
async fn remarks_come_beside_the_answer() {
    let server = server();
    let ask = async |query| server.get_with("/api/v1/query", &[("query", query), ("time", "120")]).await.1;
    let info =
        "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"up\" (1:6)";
    assert_eq!(ask("rate(up[2m])").await["infos"], json!([info]));
    let warning = "PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)";
    let found = ask("quantile(2, up)").await;
    assert_eq!((&found["warnings"], &found["infos"]), (&json!([warning]), &Value::Null));
    assert_eq!(found["data"]["result"], json!([{"metric": {}, "value": [120, "+Inf"]}]));
}

fn run(offset: i32, length: u32) -> SpanRun {
    SpanRun { offset, length }
}

fn histograms(server: &Server) {
    let exponential = NativeHistogram {
        schema: 0,
        counter_reset: CounterReset::Unknown,
        zero_threshold: 0.001,
        sum: 5.5,
        positive_runs: vec![run(0, 1), run(1, 1)],
        negative_runs: vec![run(0, 2)],
        buckets: Buckets::Integer { count: 9, zero_count: 1, positive: vec![2, 3], negative: vec![1, 2] },
        custom_bounds: Vec::new(),
    };
    let custom = NativeHistogram {
        schema: NativeHistogram::CUSTOM_SCHEMA,
        zero_threshold: 0.0,
        positive_runs: vec![run(0, 3)],
        negative_runs: Vec::new(),
        buckets: Buckets::Float { count: 5.5, zero_count: 0.0, positive: vec![4.0, 0.0, 1.5], negative: vec![] },
        custom_bounds: vec![1.0, 2.5],
        ..exponential.clone()
    };
    let widest = NativeHistogram {
        schema: -4,
        positive_runs: vec![run(64, 2)],
        negative_runs: Vec::new(),
        buckets: Buckets::Float { count: 2.0, zero_count: 0.0, positive: vec![1.0, 1.0], negative: vec![] },
        ..exponential.clone()
    };
    let empty = NativeHistogram {
        sum: 0.0,
        positive_runs: Vec::new(),
        negative_runs: Vec::new(),
        buckets: Buckets::Integer { count: 0, zero_count: 0, positive: vec![], negative: vec![] },
        ..exponential.clone()
    };
    let mut write = MetricWrite::default();
    for (name, histogram) in [("custom", custom), ("empty", empty), ("exponential", exponential), ("widest", widest)] {
        let series = write.series.push(&mut vec![("__name__", name)]);
        write.histograms.push((series, 0, histogram));
    }
    let mixed = write.series.push(&mut vec![("__name__", "exponential")]);
    write.samples.push((mixed, 60_000, 7.0));
    server.memory.metrics.lock().append(&write);
}

#[tokio::test]
async fn native_histograms_have_their_buckets() {
    let server = Server::new();
    histograms(&server);
    let exponential = json!({
        "count": "9", "sum": "5.5",
        // Negative ones from far to near, closed on the left; zero closed on both sides; positive ones closed on the right.
        "buckets": [
            [1, "-2", "-1", "2"], [1, "-1", "-0.5", "1"], [3, "-0.001", "0.001", "1"], [0, "0.5", "1", "2"],
            [0, "2", "4", "3"],
        ],
    });
    let table = [
        ("exponential", exponential.clone()),
        // The lowest custom bucket holds -Inf too; an empty bucket is left out.
        (
            "custom",
            json!({"count": "5.5", "sum": "5.5", "buckets": [[3, "-Inf", "1", "4"], [0, "2.5", "+Inf", "1.5"]]}),
        ),
        ("empty", json!({"count": "0", "sum": "0"})),
        // The last finite bucket ends at the largest double, the overflow bucket at +Inf.
        (
            "widest",
            json!({"count": "2", "sum": "5.5", "buckets": [
                [0, "2.7430620343968443e+303", "1.7976931348623157e+308", "1"],
                [0, "1.7976931348623157e+308", "+Inf", "1"],
            ]}),
        ),
    ];
    for (name, histogram) in table {
        let result = json!([{"metric": {"__name__": name}, "histogram": [0, histogram]}]);
        instant(&server, name, "0", json!({"resultType": "vector", "result": result})).await;
    }
    // Floats and histograms of one series come apart.
    let range = [("query", "exponential"), ("start", "0"), ("end", "60"), ("step", "60")];
    let series =
        json!([{"metric": {"__name__": "exponential"}, "values": [[60, "7"]], "histograms": [[0, exponential]]}]);
    check(&server, "/api/v1/query_range", &range, (200, ok(json!({"resultType": "matrix", "result": series})))).await;
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let server = server();
    let too_fine =
        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
    let no_step = "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer";
    let before = "invalid parameter \"end\": end timestamp must not be before start time";
    let string = "invalid parameter \"query\": invalid expression type \"string\" for range query, must be Scalar or instant Vector";
    let empty = "invalid parameter \"query\": unknown position: parse error: no expression found in input";
    let table: [(&str, &str, &str); 27] = [
        ("/api/v1/query", "", empty),
        ("/api/v1/query", "query=", empty),
        (
            "/api/v1/query",
            "query=up&time=x",
            "invalid parameter \"time\": invalid time value for 'time': cannot parse \"x\" to a valid timestamp",
        ),
        (
            "/api/v1/query",
            "query=up&time=1e30",
            "invalid parameter \"time\": invalid time value for 'time': cannot parse \"1e30\" to a valid timestamp",
        ),
        (
            "/api/v1/query",
            "query=up&timeout=x",
            "invalid parameter \"timeout\": cannot parse \"x\" to a valid duration",
        ),
        (
            "/api/v1/query",
            "query=up&lookback_delta=1e30",
            "error parsing lookback delta duration: cannot parse \"1e30\" to a valid duration. It overflows int64",
        ),
        ("/api/v1/query", "query=sum(", "invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis"),
        (
            "/api/v1/query_range",
            "query=up&end=1&step=1",
            "invalid parameter \"start\": cannot parse \"\" to a valid timestamp",
        ),
        (
            "/api/v1/query_range",
            "query=up&start=1&step=1",
            "invalid parameter \"end\": cannot parse \"\" to a valid timestamp",
        ),
        (
            "/api/v1/query_range",
            "query=up&start=1&end=1",
            "invalid parameter \"step\": cannot parse \"\" to a valid duration",
        ),
        ("/api/v1/query_range", "start=1&end=1&step=1", empty),
        ("/api/v1/query_range", "query=up&start=1&end=0&step=1", before),
        ("/api/v1/query_range", "query=up&start=0&end=1&step=0", no_step),
        (
            "/api/v1/query_range",
            "query=up&start=0&end=1&step=-5m",
            "invalid parameter \"step\": cannot parse \"-5m\" to a valid duration",
        ),
        ("/api/v1/query_range", "query=up&start=0&end=1&step=-5", no_step),
        ("/api/v1/query_range", "query=up&start=0&end=11001&step=1", too_fine),
        ("/api/v1/query_range", "query=%22a%22&start=0&end=1&step=1", string),
        ("/api/v1/series", "", "no match[] parameter provided"),
        (
            "/api/v1/series",
            "match[]=up&limit=x",
            "invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax",
        ),
        (
            "/api/v1/series",
            "match[]=%7Ba=~%22.*%22%7D",
            "invalid parameter \"match[]\": match[] must contain at least one non-empty matcher",
        ),
        ("/api/v1/labels", "match[]=%7Ba=~%22.*%22%7D", "match[] must contain at least one non-empty matcher"),
        (
            "/api/v1/labels",
            "start=x",
            "invalid parameter \"start\": invalid time value for 'start': cannot parse \"x\" to a valid timestamp",
        ),
        ("/api/v1/query_exemplars", "", "unknown position: parse error: no expression found in input"),
        ("/api/v1/query_exemplars", "query=up&start=2&end=1", "end timestamp must not be before start timestamp"),
        (
            "/api/v1/labels",
            "end=x",
            "invalid parameter \"end\": invalid time value for 'end': cannot parse \"x\" to a valid timestamp",
        ),
        (
            "/api/v1/parse_query",
            "query=up%7B",
            "invalid parameter \"query\": 1:4: parse error: unexpected end of input inside braces",
        ),
        ("/api/v1/format_query", "", empty),
    ];
    for (path, params, text) in table {
        let expected = (400, error("bad_data", text));
        assert_eq!(server.get(&format!("{path}?{params}")).await, expected, "{path} {params}");
        let posted = server.send("POST", path, "application/x-www-form-urlencoded", params).await;
        assert_eq!(posted, expected, "POST {path} {params}");
    }
    for path in ["/api/v1/series", "/api/v1/labels", "/api/v1/label/job/values"] {
        let (status, found) = server.get_with(path, &[("match[]", "up{")]).await;
        assert_eq!((status, &found["errorType"]), (400, &json!("bad_data")), "{path}");
        // The parameter is named by the one and not by the others, as it is there.
        let head = if path.ends_with("series") { "invalid parameter \"match[]\": 1:" } else { "1:" };
        assert!(found["error"].as_str().is_some_and(|e| e.starts_with(head)), "{found}");
    }
    let large = format!("query={}", "1".repeat(3 << 20));
    let (status, found) = server.send("POST", "/api/v1/query", "application/x-www-form-urlencoded", large).await;
    assert_eq!((status, found), (400, error("bad_data", "the form has more than 2097152 bytes or broke off")));
}

#[tokio::test]
async fn a_forms_value_goes_before_the_query_strings() {
    let server = server();
    let kind = "application/x-www-form-urlencoded; charset=utf-8";
    let (_, found) = server.send("POST", "/api/v1/query?query=1&time=5", kind, "query=2").await;
    assert_eq!(found["data"]["result"], json!([5, "2"]));
    // Another kind of body is no form.
    let (_, found) = server.send("POST", "/api/v1/query?query=1&time=5", "text/plain", "query=2").await;
    assert_eq!(found["data"]["result"], json!([5, "1"]));
}

#[tokio::test]
async fn federation_gives_the_newest_of_what_lives() {
    let server = Server::new();
    server.metric(
        &[("__name__", "calls_total"), ("service", "cart"), ("host.name", "a\"b")],
        &[(NOW_MS - 60_000, 1.0), (NOW_MS - 5_000, 2.5)],
    );
    server.metric(
        &[("__name__", "calls_total"), ("service", "ended")],
        &[(NOW_MS - 10_000, 1.0), (NOW_MS - 5_000, base_signal::stale_nan())],
    );
    server.metric(&[("__name__", "calls_total"), ("service", "old")], &[(NOW_MS - 301_000, 1.0)]);
    server.metric(&[("__name__", "up"), ("job", "node"), ("instance", "h")], &[(NOW_MS - 1_000, 1.0)]);
    server.metric(&[("__name__", "other"), ("job", "node")], &[(NOW_MS - 1_000, 1.0)]);
    let params = [("match[]", "calls_total"), ("match[]", "{job=\"node\",__name__=~\"up|nothing\"}")];
    let (status, text) = server.get_with("/federate", &params).await;
    let text = text.as_str().unwrap_or_else(|| panic!("{status}"));
    let at = |ms: i64| NOW_MS - ms;
    let calls = format!(r#"calls_total{{host_name="a\"b",service="cart",instance="",job=""}} 2.5 {}"#, at(5_000));
    let up = format!(r#"up{{instance="h",job="node"}} 1 {}"#, at(1_000));
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines, [calls, up], "{text}");
    let (status, said) = server.get("/federate").await;
    assert_eq!((status, said["error"].as_str()), (400, Some("no match[] parameter provided")));
}
