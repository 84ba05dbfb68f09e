//! What the Prometheus API tells of the engine: layouts and trees of queries, rules, status, pools, orders of an admin, remote read.

use std::collections::BTreeMap;

use base_signal::{MetricKind, RangeMs};
use observe_rules::{ActiveAlert, AlertState, GroupState, Health, OfRule, RuleState};
use observe_wire::proto::{Reader, Writer};

use super::prometheus::{check, error, ok, server};
use super::*;
use crate::{ActiveTarget, Head, Insides, Job, Runtime, StoredBlock};

impl Insides for Memory {
    fn runtime(&self) -> Runtime {
        Runtime { started_at_ms: NOW_MS, host: "h".into(), retention: "15d".into(), ..Runtime::default() }
    }
    fn config_yaml(&self) -> String {
        "scrape_configs: []\n".into()
    }
    fn flags(&self) -> BTreeMap<String, String> {
        [("query.timeout".to_owned(), "2m".to_owned())].into()
    }
    fn jobs(&self) -> Vec<Job> {
        vec![Job { name: "node".into(), yaml: "job_name: node\n".into() }]
    }
    fn rule_groups(&self) -> Vec<GroupState> {
        self.rules.lock().clone()
    }
    fn alertmanagers(&self) -> Vec<String> {
        self.rules.lock().iter().map(|_| "http://am:9093/api/v2/alerts".to_owned()).collect()
    }
    fn head(&self, _: &TenantId) -> Head {
        Head { chunks: 3, times_ms: Some((0, 120_000)) }
    }
    fn blocks(&self, _: &TenantId) -> Vec<StoredBlock> {
        vec![StoredBlock { id: 7, time_max_ms: 9, samples: 2, series: 1, ..StoredBlock::default() }]
    }
    fn is_admin_enabled(&self) -> bool {
        self.orders.lock().is_some()
    }
    fn delete_series(&self, _: TenantId, sets: Vec<Vec<Matcher>>, range: RangeMs) -> BoxFuture<'_, Result<(), String>> {
        self.order(format!("delete {} sets from {} to {}", sets.len(), range.start_ms, range.end_ms))
    }
    fn clean_tombstones(&self) -> BoxFuture<'_, Result<(), String>> {
        self.order("clean".into())
    }
    fn snapshot(&self, with_memory: bool) -> BoxFuture<'_, Result<String, String>> {
        let order = self.order(format!("snapshot, memory {with_memory}"));
        Box::pin(async { order.await.map(|()| "20260101T000000Z-1".to_owned()) })
    }
}

impl Memory {
    fn order(&self, order: String) -> BoxFuture<'_, Result<(), String>> {
        let fault = matches!(*self.fault.lock(), Fault::Error(_));
        self.orders.lock().get_or_insert_default().push(order);
        Box::pin(async move { if fault { Err("the disk is gone".into()) } else { Ok(()) } })
    }
}

#[tokio::test]
async fn queries_are_laid_out_and_taken_apart() {
    let server = Server::new();
    let laid_out = "sum by (job) (rate(up{a=\"b\"}[5m]))";
    check(
        &server,
        "/api/v1/format_query",
        &[("query", "sum by(job)( rate(up{a='b'}[5m]) )")],
        (200, ok(json!(laid_out))),
    )
    .await;
    let tree = async |query: &str| server.get_with("/api/v1/parse_query", &[("query", query)]).await.1["data"].clone();
    assert_eq!(tree("-up").await["op"], "-");
    let selector = json!({
        "type": "vectorSelector", "name": "up", "offset": 300_000, "offsetExpr": null, "timestamp": 1500, "startOrEnd": null,
        "anchored": false, "smoothed": false,
        "matchers": [{"name": "a", "value": "b", "type": "=~"}, {"name": "__name__", "value": "up", "type": "="}],
    });
    assert_eq!(tree("up{a=~'b'} @ 1.5 offset 5m").await, selector);
    let found = tree("a / on(x) group_left(y) b").await;
    assert_eq!(
        found["matching"],
        json!({"card": "many-to-one", "labels": ["x"], "on": true, "include": ["y"], "fillValues": {"lhs": null, "rhs": null}})
    );
    assert_eq!(tree("a or b").await["matching"]["card"], "many-to-many");
    assert_eq!(tree("1 + b").await["matching"], Value::Null);
    let found = tree("label_join(max_over_time(up[1h:(5m)])[30m:1m] @ end(), 'a', 'b')").await;
    assert_eq!(found, Value::Null, "a subquery is no argument of it");
    let found = tree("rate(up[step() + 5m])").await;
    let step = json!({"type": "durationExpr", "op": "step", "lhs": null, "rhs": null, "wrapped": false});
    let five = json!({"type": "numberLiteral", "val": "300", "duration": true});
    let sum = json!({"type": "durationExpr", "op": "+", "lhs": step, "rhs": five, "wrapped": false});
    assert_eq!((&found["args"][0]["rangeExpr"], &found["args"][0]["range"]), (&sum, &json!(0)));
    assert_eq!(found["func"], json!({"name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector"}));
}

#[tokio::test]
async fn queries_are_taken_apart_as_by_prometheus() {
    let server = Server::new();
    let mut lines = include_str!("parsed.txt").lines().filter(|line| !line.starts_with("//"));
    let mut count = 0;
    while let (Some(query), Some(expect)) = (lines.next(), lines.next()) {
        let found = server.get_with("/api/v1/parse_query", &[("query", query)]).await.1;
        let expect: Value = serde_json::from_str(expect).expect("JSON");
        assert_eq!(found["data"], expect, "{query}");
        count += 1;
    }
    assert!(count > 10);
}

#[tokio::test]
async fn there_are_no_rules_and_that_is_said() {
    let server = Server::new();
    let get = async |path: &str| server.get(&format!("/api/v1/{path}")).await;
    assert_eq!(get("rules").await, (200, ok(json!({"groups": []}))));
    assert_eq!(get("rules?type=alert&group_limit=5&exclude_alerts=True").await, (200, ok(json!({"groups": []}))));
    assert_eq!(get("alerts").await, (200, ok(json!({"alerts": []}))));
    let managers = json!({"activeAlertmanagers": [], "droppedAlertmanagers": []});
    assert_eq!(get("alertmanagers").await, (200, ok(managers)));
    for (params, why) in [
        ("type=x", "invalid parameter \"type\": not supported value \"x\""),
        (
            "exclude_alerts=maybe",
            "invalid parameter \"exclude_alerts\": error converting exclude_alerts: strconv.ParseBool: parsing \"maybe\": invalid syntax",
        ),
        ("group_limit=0", "invalid parameter \"group_limit\": group_limit needs to be greater than 0"),
        (
            "group_limit=x",
            "invalid parameter \"group_limit\": group_limit needs to be a valid number: strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
        (
            "group_next_token=a",
            "invalid parameter \"group_next_token\": group_limit needs to be present in order to paginate over the groups",
        ),
        (
            "group_limit=1&group_next_token=a",
            "invalid parameter \"group_next_token\": invalid group_next_token 'a'. were rule groups changed?",
        ),
    ] {
        assert_eq!(get(&format!("rules?{params}")).await, (400, error("bad_data", why)), "{params}");
    }
}

fn rule(name: &str, health: Health, of: OfRule) -> RuleState {
    let labels = BTreeMap::from([("team".to_owned(), name.to_lowercase())]);
    RuleState {
        name: name.into(),
        expr: "up == 0".into(),
        labels,
        health,
        took_s: 0.5,
        evaluated_at_ms: Some(1500),
        of,
    }
}

#[tokio::test]
async fn rules_and_alerts_in_the_words_of_prometheus() {
    let server = Server::new();
    let alert = ActiveAlert {
        labels: Labels::from_pairs([("alertname", "Down"), ("job", "a")]),
        annotations: BTreeMap::from([("summary".to_owned(), "a is down".to_owned())]),
        state: AlertState::Firing,
        active_at_ms: 1000,
        keep_firing_since_ms: None,
        value: 15.0,
    };
    let down = OfRule::Alerting {
        state: AlertState::Firing,
        for_ms: 90_000,
        keep_firing_for_ms: 0,
        annotations: BTreeMap::from([("summary".to_owned(), "{{ $labels.job }} is down".to_owned())]),
        alerts: vec![alert],
    };
    let group = |name: &str, rules: Vec<RuleState>| GroupState {
        name: name.into(),
        file: "rules.yml".into(),
        interval_ms: 15_000,
        limit: 7,
        rules,
        took_s: 0.25,
        evaluated_at_ms: None,
    };
    let recorded = rule("Sum", Health::Bad("why".into()), OfRule::Recording);
    *server.memory.rules.lock() =
        vec![group("one", vec![rule("Down", Health::Good, down), recorded.clone()]), group("two", vec![recorded])];
    let get = async |path: &str| server.get(&format!("/api/v1/{path}")).await.1["data"].clone();
    let shown_alert = json!({
        "labels": {"alertname": "Down", "job": "a"}, "annotations": {"summary": "a is down"}, "state": "firing",
        "activeAt": "1970-01-01T00:00:01Z", "value": "1.5e+01",
    });
    let shown_down = json!({
        "state": "firing", "name": "Down", "query": "up == 0", "duration": 90, "keepFiringFor": 0, "labels": {"team": "down"},
        "annotations": {"summary": "{{ $labels.job }} is down"}, "alerts": [shown_alert], "health": "ok",
        "evaluationTime": 0.5, "lastEvaluation": "1970-01-01T00:00:01.5Z", "type": "alerting",
    });
    let shown_sum = json!({
        "name": "Sum", "query": "up == 0", "labels": {"team": "sum"}, "health": "err", "lastError": "why",
        "evaluationTime": 0.5, "lastEvaluation": "1970-01-01T00:00:01.5Z", "type": "recording",
    });
    let shown = |name: &str, rules: Value| {
        json!({
            "name": name, "file": "rules.yml", "rules": rules, "interval": 15, "limit": 7, "evaluationTime": 0.25,
            "lastEvaluation": "0001-01-01T00:00:00Z",
        })
    };
    let (one, two) = (shown("one", json!([shown_down, shown_sum])), shown("two", json!([shown_sum])));
    assert_eq!(get("rules").await, json!({"groups": [one, two]}));
    assert_eq!(get("alerts").await, json!({"alerts": [shown_alert]}));
    assert_eq!(
        get("alertmanagers").await["activeAlertmanagers"],
        json!([{"url": "http://am:9093/api/v2/alerts"}, {"url": "http://am:9093/api/v2/alerts"}])
    );
    let names = async |params: &str| {
        let groups = get(&format!("rules?{params}")).await["groups"].clone();
        let of = |group: &Value| format!("{}:{}", group["name"], group["rules"].as_array().unwrap().len());
        groups.as_array().unwrap().iter().map(of).collect::<Vec<_>>().join(" ").replace('"', "")
    };
    for (params, expect) in [
        ("type=alert", "one:1"),
        ("type=record", "one:1 two:1"),
        ("rule_name[]=Down", "one:1"),
        ("rule_group[]=two&rule_group[]=three", "two:1"),
        ("file[]=other.yml", ""),
        ("match[]=%7Bteam=%22sum%22%7D", "one:1 two:1"),
        ("match[]=%7Bteam=%22x%22%7D&match[]=%7Bteam=~%22d.%2B%22%7D", "one:1"),
        ("group_limit=1", "one:2"),
    ] {
        assert_eq!(names(params).await, expect, "{params}");
    }
    assert_eq!(get("rules?type=alert&exclude_alerts=true").await["groups"][0]["rules"][0]["alerts"], Value::Null);
    let token = get("rules?group_limit=1").await["groupNextToken"].as_str().unwrap().to_owned();
    assert_eq!(names(&format!("group_limit=1&group_next_token={token}")).await, "two:1");
    assert_eq!(get(&format!("rules?group_limit=1&group_next_token={token}")).await["groupNextToken"], Value::Null);
}

#[tokio::test]
async fn what_the_engine_says_of_itself() {
    let server = Server::new();
    server.metric(&[("__name__", "up"), ("job", "a")], &[(NOW_MS, 1.0)]);
    server.metric(&[("__name__", "up"), ("job", "bcd")], &[(NOW_MS, 1.0)]);
    server.metric(&[("__name__", "load")], &[(NOW_MS, 1.0)]);
    let get = async |path: &str| server.get(&format!("/api/v1/{path}")).await;
    assert_eq!(get("status/config").await.1["data"]["yaml"], "scrape_configs: []\n");
    assert_eq!(get("status/flags").await.1["data"], json!({"query.timeout": "2m"}));
    let (_, runtime) = get("status/runtimeinfo").await;
    assert_eq!(
        (&runtime["data"]["startTime"], &runtime["data"]["storageRetention"]),
        (&json!("2023-11-14T22:13:20Z"), &json!("15d"))
    );
    assert_eq!(get("status/walreplay").await.1["data"], json!({"min": 0, "max": 0, "current": 0}));
    assert_eq!(get("notifications").await.1["data"], json!([]));
    let (_, features) = get("features").await;
    assert_eq!(
        (&features["data"]["promql_functions"]["rate"], &features["data"]["api"]["admin"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(get("status/tsdb/blocks").await.1["data"]["blocks"][0]["maxTime"], 10);
    let top = |rows: &[(&str, u64)]| -> Value {
        rows.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
    };
    let stats = json!({
        "headStats": {"numSeries": 3, "numLabelPairs": 4, "chunkCount": 3, "minTime": 0, "maxTime": 120_000},
        "seriesCountByMetricName": top(&[("up", 2), ("load", 1)]),
        "labelValueCountByLabelName": top(&[("__name__", 2), ("job", 2)]),
        "memoryInBytesByLabelName": top(&[("__name__", 8), ("job", 4)]),
        "seriesCountByLabelValuePair": top(&[("__name__=up", 2), ("__name__=load", 1)]),
    });
    assert_eq!(get("status/tsdb?limit=2").await, (200, ok(stats)));
    for (limit, why) in [
        ("0", "limit must be a positive number"),
        ("x", "limit must be a positive number"),
        ("10001", "limit must not exceed 10000"),
    ] {
        assert_eq!(get(&format!("status/tsdb?limit={limit}")).await, (400, error("bad_data", why)));
    }
}

#[tokio::test]
async fn what_is_scraped_says_what_its_metrics_are() {
    let server = Server::new();
    let target = |instance: &str| ActiveTarget {
        job: "node".into(),
        labels: Labels::from_pairs([("instance", instance), ("job", "node")]),
        discovered: Labels::empty(),
        url: "http://h:1/metrics".into(),
        interval_ms: 1,
        timeout_ms: 1,
        last: None,
    };
    server.memory.targets.lock().active = vec![target("a"), target("b")];
    server.metric(&[("__name__", "took_bucket"), ("job", "node"), ("instance", "a"), ("le", "1")], &[(NOW_MS, 1.0)]);
    server.metric(&[("__name__", "load"), ("job", "node"), ("instance", "b")], &[(NOW_MS, 1.0)]);
    let entry = |kind| Metadata { kind, help: "H".into(), unit: String::new() };
    let metadata =
        vec![("took".to_owned(), entry(MetricKind::Histogram)), ("load".to_owned(), entry(MetricKind::Gauge))];
    server.memory.metrics.lock().append(&MetricWrite { metadata, ..MetricWrite::default() });
    let told = |instance: &str, name: &str, kind: &str| json!({"target": {"instance": instance, "job": "node"}, "metric": name, "type": kind, "help": "H", "unit": ""});
    let (took, load) = (told("a", "took", "histogram"), told("b", "load", "gauge"));
    let get = async |path: &str| server.get(&format!("/api/v1/{path}")).await;
    assert_eq!(get("targets/metadata").await, (200, ok(json!([took, load]))));
    assert_eq!(get("targets/metadata?limit=1").await.1["data"], json!([took]));
    assert_eq!(get("targets/metadata?match_target=%7Binstance=%22b%22%7D").await.1["data"], json!([load]));
    let named = json!([{"target": {"instance": "b", "job": "node"}, "type": "gauge", "help": "H", "unit": ""}]);
    assert_eq!(get("targets/metadata?metric=load").await.1["data"], named);
    assert_eq!(get("scrape_pools").await.1["data"], json!({"scrapePools": ["node"]}));
    assert_eq!(get("scrape_pools/config?scrapePool=node").await.1["data"]["yaml"], "job_name: node\n");
    let (status, missing) = get("scrape_pools/config?scrapePool=x").await;
    assert_eq!((status, &missing["errorType"]), (400, &json!("bad_data")));
}

#[tokio::test]
async fn an_admin_orders_where_that_is_allowed() {
    let server = Server::new();
    let post = async |path: &str| server.send("POST", &format!("/api/v1/admin/tsdb/{path}"), "", Body::empty()).await;
    let off = (500, error("unavailable", "admin APIs disabled"));
    for path in ["delete_series?match[]=up", "clean_tombstones", "snapshot"] {
        assert_eq!(post(path).await, off, "{path}");
        assert_eq!(server.get(&format!("/api/v1/admin/tsdb/{path}")).await.0, 405);
    }
    *server.memory.orders.lock() = Some(Vec::new());
    assert_eq!(post("delete_series?match[]=up&match[]=down&start=1&end=2").await.0, 204);
    assert_eq!(post("delete_series?match[]=up&start=2&end=1").await.0, 204, "nothing lies between");
    assert_eq!(post("delete_series").await, (400, error("bad_data", "no match[] parameter provided")));
    assert_eq!(post("delete_series?match[]=%7B%7D").await.0, 400, "not everything by two braces");
    assert_eq!(post("clean_tombstones").await.0, 204);
    assert_eq!(post("snapshot?skip_head=true").await, (200, ok(json!({"name": "20260101T000000Z-1"}))));
    let why =
        "invalid parameter \"skip_head\": unable to parse boolean: strconv.ParseBool: parsing \"x\": invalid syntax";
    assert_eq!(post("snapshot?skip_head=x").await, (400, error("bad_data", why)));
    let orders = server.memory.orders.lock().clone();
    assert_eq!(orders.unwrap(), ["delete 2 sets from 1000 to 2000", "clean", "snapshot, memory false"]);
    server.fault(Fault::Error(SourceError::Cancelled));
    assert_eq!(post("snapshot").await, (500, error("internal", "create snapshot: the disk is gone")));
    assert_eq!(post("clean_tombstones").await, (500, error("internal", "the disk is gone")));
}

/// A `prometheus.ReadRequest` for all series called `name`.
fn read_request(name: &str, accepted: &[u8]) -> Vec<u8> {
    let mut request = Writer::default();
    request.message(1, |query| {
        query.varint(1, 0).varint(2, 60_000).message(3, |matcher| {
            matcher.text(2, "__name__").text(3, name);
        });
    });
    if !accepted.is_empty() {
        request.bytes(2, accepted);
    }
    observe_wire::compression::pack_snappy(&request.0)
}

#[tokio::test]
async fn remote_read() {
    let server = server();
    let ask = async |body: Vec<u8>| server.ask("POST", "/api/v1/read", &[("content-encoding", "snappy")], body).await;
    let reply = ask(read_request("up", &[])).await;
    assert_eq!(
        (reply.status, reply.header("content-type"), reply.header("content-encoding")),
        (200, "application/x-protobuf", "snappy")
    );
    let message = observe_wire::compression::snappy_block(&reply.bytes, 1 << 20).unwrap();
    let (_, result) = Reader::new(&message).field().unwrap().unwrap();
    // The series of an answer are those of a write.
    let written =
        observe_wire::remote_write::decode_message(result.bytes().unwrap().0, &observe_wire::Limits::default());
    assert_eq!(written.unwrap().write.samples, [(0, 0, 1.0), (0, 60_000, 0.0), (1, 0, 1.0), (1, 60_000, 1.0)]);
    let reply = ask(read_request("up", &[1, 0])).await;
    let kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    assert_eq!((reply.status, reply.header("content-type")), (200, kind));
    assert_eq!(reply.bytes.windows(2).filter(|two| two == b"up").count(), 2, "two series, two frames");
    assert_eq!(ask(read_request("nothing", &[1])).await.bytes, b"", "no series, no frame");
    assert_eq!(ask(read_request("up", &[9])).await.status, 400);
    assert_eq!(ask(b"nonsense".to_vec()).await.status, 400);
    assert_eq!(server.get("/api/v1/read").await.0, 405);
    for (error, status) in [
        (SourceError::Budget { wanted_bytes: 2, limit_bytes: 1 }, 400),
        (SourceError::Storage { reason: "seg-1: bad checksum".into() }, 500),
    ] {
        for accepted in [&[][..], &[1][..]] {
            server.fault(Fault::Error(error.clone()));
            let reply = ask(read_request("up", accepted)).await;
            assert_eq!((reply.status, reply.text()), (status, format!("{error}\n")));
        }
    }
}

#[tokio::test]
async fn answers_are_packed_as_their_reader_wants() {
    let server = server();
    for encoding in ["gzip", "zstd"] {
        let reply =
            server.ask("GET", "/api/v1/query?query=up&time=0", &[("accept-encoding", encoding)], Body::empty()).await;
        let plain = observe_wire::compression::decode(encoding, &reply.bytes, 1 << 20).unwrap();
        let found: Value = serde_json::from_slice(&plain).unwrap();
        assert_eq!(
            (reply.header("content-encoding"), found["data"]["result"].as_array().map(Vec::len)),
            (encoding, Some(2))
        );
    }
}
