//! The three services in one process on free ports: quotes flow, traces hang together, faults show, metrics are many.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so at once")]

use std::future::Future;
use std::time::Duration;

use examples_market_data::{Role, Settings, serve};
use lib_instrument::testing::{Captured, CapturedSpan};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Longest wait for a condition; a healthy run needs about a second.
const PATIENCE: Duration = Duration::from_secs(30);

struct Market {
    api: String,
    store: String,
    feed: String,
    client: reqwest::Client,
}

impl Market {
    async fn get(&self, url: &str) -> (u16, Value) {
        let answer = self.client.get(url).send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn set_faults(&self, faults: Value) -> (u16, Value) {
        let answer = self.client.post(format!("{}/faults", self.api)).json(&faults).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Asks until the answer is as wanted.
    async fn until(&self, path: &str, wanted: impl Fn(u16, &Value) -> bool) -> Value {
        let mut last = String::new();
        let asked = async {
            loop {
                let (status, value) = self.get(&format!("{}{path}", self.api)).await;
                if wanted(status, &value) {
                    return value;
                }
                last = format!("{status} {value}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(value) => value,
            Err(_) => panic!("{path} never answered as wanted; the last answer was {last}"),
        }
    }
}

/// Runs the three services around `test`, started in the wrong order on purpose, and stops them afterwards.
async fn with_market<F: Future<Output = ()>>(
    captured: (lib_instrument::Telemetry, &Captured),
    test: impl FnOnce(Market) -> F,
) {
    let (telemetry, _) = captured;
    let folder = tempfile::tempdir().unwrap();
    let mut listeners = Vec::new();
    for _ in 0..3 {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let url = |at: usize| format!("http://{}", listeners[at].local_addr().unwrap());
    let (api, store, feed) = (url(0), url(1), url(2));
    let (stop, stopped) = watch::channel(false);
    let services = listeners.into_iter().zip([Role::Api, Role::Store, Role::Feed]).map(|(listener, role)| {
        let mut settings = Settings::new(role);
        settings.feed_url = feed.clone();
        settings.store_url = store.clone();
        settings.api_url = api.clone();
        settings.data_dir = folder.path().join("data");
        let mut stopped = stopped.clone();
        let shutdown = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        serve(listener, settings, &telemetry, shutdown)
    });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let market = Market { api: api.clone(), store: store.clone(), feed: feed.clone(), client };
    let test = async {
        test(market).await;
        stop.send(true).unwrap();
    };
    let (outcomes, ()) = tokio::join!(futures_util::future::join_all(services), test);
    for outcome in outcomes {
        outcome.unwrap();
    }
}

#[tokio::test]
async fn a_quote_comes_out_of_the_api_and_its_trace_hangs_together() {
    let (telemetry, captured) = Captured::start("market");
    with_market((telemetry, &captured), async |market| {
        let quote = market.until("/quotes/BTC-USD", |status, _| status == 200).await;
        assert_eq!((&quote["type"], &quote["market"]), (&json!("crypto"), &json!("CRYPTO")));
        let (bid, price, ask) =
            (quote["bid"].as_f64().unwrap(), quote["price"].as_f64().unwrap(), quote["ask"].as_f64().unwrap());
        assert!(50_000.0 < bid && bid < price && price < ask && ask < 80_000.0, "{quote}");

        let history = market.until("/history/BTC-USD?limit=3", |status, _| status == 200).await;
        assert!(!history["points"].as_array().unwrap().is_empty());
        let search = market.until("/search?q=bitc", |status, _| status == 200).await;
        assert_eq!(search["listings"][0]["symbol"], "BTC-USD");
        let some = market.until("/quotes?type=crypto", |status, all| status == 200 && all["count"] != json!(0)).await;
        assert!(
            some["quotes"]
                .as_array()
                .unwrap()
                .iter()
                .all(|quote| quote["symbol"].as_str().unwrap().contains('-') || quote["symbol"] == "BTC-USD")
        );
        assert_eq!(market.get(&format!("{}/quotes/NOPE", market.api)).await.0, 404);
        assert_eq!(market.get(&format!("{}/readyz", market.api)).await.0, 200);

        let (spans, root, chain) = eventually(|| {
            let spans = captured.spans();
            let ended = |name: &str| spans.iter().any(|span| span.name == name);
            let is_answer = |span: &&CapturedSpan| span.name == "GET /history/{symbol}" && span.kind == "server";
            let root = spans.iter().rfind(|span| is_answer(span) && is_root(span))?.clone();
            let chain = chain_below(&spans, &root);
            (chain.len() == 4 && ended("INSERT tick") && ended("store ticks")).then_some((spans, root, chain))
        })
        .await;
        assert_eq!(
            chain,
            [
                "server GET /history/{symbol}",
                "client GET /history/{symbol}",
                "server GET /history/{symbol}",
                "client SELECT tick",
            ]
        );
        let store =
            spans.iter().rfind(|span| span.kind == "server" && span.trace_id == root.trace_id && !is_root(span));
        assert_eq!(store.unwrap().attributes["request_id"], root.attributes["request_id"]);
        let ticks = spans.iter().find(|span| span.name == "store ticks").expect("the first message carries a trace");
        let publish = spans.iter().find(|span| span.span_id == ticks.parent_span_id).unwrap();
        assert_eq!((publish.name.as_str(), publish.kind.as_str()), ("publish ticks", "producer"));
        assert!(spans.iter().any(|span| span.name == "INSERT tick" && span.parent_span_id == ticks.span_id));

        let log = captured.logs().into_iter().find(|log| log.body == "quote served").unwrap();
        assert!(log.trace_id.is_some() && log.attributes.contains_key("request_id"), "{log:?}");
    })
    .await;
}

/// Waits for a span. SQLite's own thread holds the span of a statement for a moment longer than the answer takes.
async fn eventually<T>(find: impl Fn() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = find() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("the span never ended")
}

fn is_root(span: &CapturedSpan) -> bool {
    span.parent_span_id.bytes().all(|b| b == b'0')
}

/// The span and, from child to child, the first below it.
fn chain_below(spans: &[CapturedSpan], root: &CapturedSpan) -> Vec<String> {
    let mut chain = vec![format!("{} {}", root.kind, root.name)];
    let mut at = root;
    while let Some(child) = spans.iter().find(|span| span.parent_span_id == at.span_id) {
        chain.push(format!("{} {}", child.kind, child.name));
        at = child;
    }
    chain
}

#[tokio::test]
async fn faults_show_in_the_answers_and_the_breaker_opens() {
    let (telemetry, captured) = Captured::start("market");
    with_market((telemetry, &captured), async |market| {
        market.until("/quotes/AAPL", |status, _| status == 200).await;
        let (status, said) = market.set_faults(json!({ "error_ratio": 2 })).await;
        assert_eq!((status, &said["error"]), (400, &json!("error_ratio is 2; it must be from 0 to 1")));

        assert_eq!(market.set_faults(json!({ "error_ratio": 1.0 })).await.0, 200);
        for base in [&market.api, &market.store, &market.feed] {
            let (_, faults) = market.get(&format!("{base}/faults")).await;
            assert_eq!(faults, json!({ "slow_store_ms": 0, "error_ratio": 1.0, "price_spike": null }));
        }
        market.until("/quotes/AAPL", |status, said| status == 502 && said["trace_id"].is_string()).await;
        market
            .until("/quotes/AAPL", |status, said| {
                status == 503 && said["error"] == "the store is resting; ask again soon"
            })
            .await;
        assert_eq!(captured.metric("market.breaker.state", &[("state", "open")]), Some(1.0));
        assert_eq!(captured.metric("market.breaker.trips", &[]), Some(1.0));
        assert_eq!(captured.metric("market.fault.active", &[("fault", "error_ratio")]), Some(1.0));
        let failed = captured.spans().into_iter().find(|span| span.error.is_some() && span.kind == "server").unwrap();
        assert!(failed.events.iter().any(|(name, _)| name == "exception"), "{failed:?}");

        market.set_faults(json!({})).await;
        market.until("/quotes/AAPL", |status, _| status == 200).await;
        market
            .until("/quotes/AAPL", |_, _| captured.metric("market.breaker.state", &[("state", "closed")]) == Some(1.0))
            .await;

        let before = market.until("/quotes/AAPL", |status, _| status == 200).await["price"].as_f64().unwrap();
        market.set_faults(json!({ "price_spike": "AAPL" })).await;
        market
            .until("/quotes/AAPL", |_, quote| quote["price"].as_f64().is_some_and(|price| price > before * 1.2))
            .await;
        assert!(captured.metric("market.quality.violations", &[("rule", "price_jump")]) >= Some(1.0));
        assert!(captured.metric("market.quality.score", &[]) < Some(1.0));

        market.set_faults(json!({ "slow_store_ms": 300 })).await;
        market.until("/history/AAPL", |status, _| status == 200).await;
        let slow = eventually(|| captured.spans().into_iter().rfind(|span| span.name == "SELECT tick")).await;
        assert_eq!(slow.attributes["db.system.name"], "sqlite");
        assert!(captured.metric("db.client.operation.duration", &[("db.operation.name", "SELECT")]) > Some(0.0));
    })
    .await;
}

#[tokio::test]
async fn metrics_are_many_and_prometheus_can_read_them() {
    let (telemetry, captured) = Captured::start("market");
    with_market((telemetry, &captured), async |market| {
        market.until("/quotes/AAPL", |status, _| status == 200).await;
        market.until("/search?q=a", |status, _| status == 200).await;
        let (_, text) = market.get(&format!("{}/metrics", market.store)).await;
        let text = text.as_str().unwrap();
        let families: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert!(families.len() >= 30, "{} families: {families:#?}", families.len());
        // The README's list is what people build dashboards from. Three count only what has not happened here.
        let listed = include_str!("../README.md").lines().filter(|line| line.starts_with("| `")).flat_map(|line| {
            line.split('|')
                .nth(1)
                .unwrap_or_default()
                .split('`')
                .filter(|word| ["market_", "db_", "http_", "target_"].iter().any(|start| word.starts_with(start)))
        });
        let silent = ["market_source_errors_total", "market_quality_violations_total", "market_load_requests_total"];
        let mut count = 0;
        for name in listed.filter(|name| !silent.contains(name)) {
            count += 1;
            assert!(
                families.iter().any(|family| family.split(' ').next() == Some(name)),
                "{name} is not among {families:#?}"
            );
        }
        assert!(count >= 40, "only {count} names were found in the README");
        for family in [
            "market_quality_score_ratio gauge",
            "market_coverage_ratio gauge",
            "market_source_up gauge",
            "market_db_rows_written_total counter",
            "market_update_latency_seconds histogram",
        ] {
            assert!(families.contains(&family), "{family} is missing among {families:#?}");
        }
        assert!(text.contains("market_source_up 1"), "{text}");
    })
    .await;
}
