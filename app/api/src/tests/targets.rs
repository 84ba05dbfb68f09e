//! The targets as Prometheus's page and its clients ask for them.

use super::prometheus::ok;
use super::*;
use crate::{ActiveTarget, DroppedTarget, LastScrape};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

fn active(job: &str, address: &str, last: Option<LastScrape>) -> ActiveTarget {
    ActiveTarget {
        job: job.into(),
        discovered: labels(&[("__address__", address), ("__meta_x", "1")]),
        labels: labels(&[("instance", address), ("job", job)]),
        url: format!("http://{address}/metrics"),
        interval_ms: 60_000,
        timeout_ms: 10_000,
        last,
    }
}

#[tokio::test]
async fn active_and_dropped_targets() {
    let server = Server::new();
    let down = LastScrape { at_ms: 1_700_000_000_250, took_s: 0.5, error: Some("connection refused".into()) };
    *server.memory.targets.lock() = Targets {
        active: vec![active("b", "h:2", None), active("a", "h:1", Some(down))],
        dropped: ["3", "4"]
            .map(|port| DroppedTarget { job: "a".into(), discovered: labels(&[("__address__", port)]) })
            .to_vec(),
    };
    let shown = |job: &str, address: &str, health: &str, error: &str, at: &str, took: Value| {
        json!({
            "discoveredLabels": {"__address__": address, "__meta_x": "1"},
            "labels": {"instance": address, "job": job},
            "scrapePool": job,
            "scrapeUrl": format!("http://{address}/metrics"),
            "globalUrl": format!("http://{address}/metrics"),
            "lastError": error,
            "lastScrape": at,
            "lastScrapeDuration": took,
            "health": health,
            "scrapeInterval": "1m",
            "scrapeTimeout": "10s",
        })
    };
    let a = shown("a", "h:1", "down", "connection refused", "2023-11-14T22:13:20.25Z", json!(0.5));
    let b = shown("b", "h:2", "unknown", "", "0001-01-01T00:00:00Z", json!(0));
    let dropped = json!([
        {"discoveredLabels": {"__address__": "3"}, "scrapePool": "a"},
        {"discoveredLabels": {"__address__": "4"}, "scrapePool": "a"},
    ]);
    let counts = json!({"a": 2});
    let data = |active: Value, dropped: &Value, counts: &Value| {
        (200, ok(json!({"activeTargets": active, "droppedTargets": dropped, "droppedTargetCounts": counts})))
    };
    let path = "/api/v1/targets";
    let both = data(json!([a, b]), &dropped, &counts);
    assert_eq!(server.get_with(path, &[]).await, both);
    assert_eq!(server.get_with(path, &[("state", "any")]).await, both);
    assert_eq!(server.get_with(path, &[("state", "active")]).await, data(json!([a, b]), &json!([]), &Value::Null));
    assert_eq!(server.get_with(path, &[("state", "dropped")]).await, data(json!([]), &dropped, &counts));
    let only_b = data(json!([b]), &json!([]), &json!({}));
    assert_eq!(server.get_with(path, &[("scrapePool", "b")]).await, only_b);
}
