//! Faults show in the answers, and the metrics are those that the README lists.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so at once")]

mod common;

use common::{eventually, with_market};
use lib_instrument::testing::Captured;
use serde_json::json;

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
