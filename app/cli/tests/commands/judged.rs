//! A release that telemetry decides, on an engine of Docker on paper and with a Prometheus and a Loki on paper, and the judge's word about it afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::engine::now_ns;
use crate::http::{Answer, Server};
use crate::paper::Shop;
use crate::releases::{SETTINGS, run_of};

/// A Prometheus and a Loki of a service with twenty requests a second, of which nine fail from this second on.
fn telemetry(failing_s: &Arc<AtomicU64>) -> Server {
    let failing_s = Arc::clone(failing_s);
    Server::answering(move |request| {
        let query = request.parameter("query");
        let number = |name: &str| request.parameter(name).parse::<f64>().unwrap_or(0.0);
        let one = |labels: Value, value: &dyn Fn(f64) -> f64| {
            let step = number("step").max(1.0);
            let count = ((number("end") - number("start")) / step).round() as usize;
            let at = |point: usize| number("start") + point as f64 * step;
            let values: Vec<Value> =
                (0..=count).map(|point| json!([at(point), value(at(point)).to_string()])).collect();
            json!({"metric": labels, "values": values})
        };
        let failing_s = failing_s.load(Ordering::SeqCst) as f64;
        let failing = |at_s: f64| if at_s > failing_s { 9.0 } else { 0.0 };
        let result: Vec<Value> = match query {
            calls if calls.contains("by (status_code)") => vec![
                one(json!({"status_code": "STATUS_CODE_UNSET"}), &|at_s| 20.0 - failing(at_s)),
                one(json!({"status_code": "STATUS_CODE_ERROR"}), &failing),
            ],
            latency if latency.contains("by (le)") => {
                let buckets = [("0.01", 0.0), ("0.025", 20.0), ("+Inf", 20.0)];
                buckets.iter().map(|(le, count)| one(json!({"le": le}), &|_| *count)).collect()
            }
            _ => Vec::new(),
        };
        let kind = if request.path.starts_with("/loki") { "streams" } else { "matrix" };
        let body = json!({"status": "success", "data": {"resultType": kind, "result": result}});
        Answer { headers: vec![("content-type", "application/json".into())], ..Answer::new(200, body.to_string()) }
    })
}

#[test]
fn a_judged_release_can_be_judged_again() {
    let failing = Arc::new(AtomicU64::new(u64::MAX));
    let asked = telemetry(&failing);
    let judge = format!(
        "judge: {{ prometheus: '{0}', loki: '{0}', settings: {{ bake: 10s, past: 60s, interval: 1s, warm_up: 0s, days_back: [] }} }}\n",
        asked.url()
    );
    let shop = Shop::new(&format!("{}{judge}", SETTINGS.replace("judged: false, ", "")));
    shop.check("deploy judge", 0, &["cart "]);
    let before_s = now_ns() / 1_000_000_000;
    let words = ["verifying ", "done watch cart 1", "complete"];
    let judged = shop.check("deploy start --env dev --version 1 --yes", 0, &words);
    let run = run_of(&judged.stdout);
    let chart = format!("{}/graph?g0.expr=", asked.url());
    shop.check(&format!("deploy judge {run} --env dev"), 0, &["cart 1", "charts:", "since the release", &chart]);
    let json = shop.check("deploy judge --env dev -o json", 0, &[]).stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["verdict"]["outcome"], &json["version"]), (&json!("pass"), &json!("1")), "{json:#}");
    let table = ["run ", "known because", &run, "good     pass", "it stayed", "false aborts 0/1"];
    shop.check("deploy judge --replay --env dev -v", 0, &table);
    failing.store(before_s, Ordering::SeqCst);
    shop.check("deploy judge --replay --env dev", 0, &[&run, "good     fail", "it stayed; a false abort"]);
    let json = shop.check("deploy judge --replay --env dev -o json", 0, &[]).stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["false_abort_rate"], &json["judged"][0]["run"]), (&json!(1.0), &json!(run)));
    // One that did not come so far.
    let away = "deploy start --env dev --image 127.0.0.1:1/cart:9 --yes";
    let never = run_of(&shop.check(away, 1, &["rolled-back"]).stdout);
    shop.check(&format!("deploy judge {never} --env dev"), 3, &["no judge was ever asked about", &never]);
}
