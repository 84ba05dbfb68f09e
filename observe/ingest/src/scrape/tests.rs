//! Targets and scrapes as a user of Prometheus knows them.

use std::sync::Arc;

use base_signal::is_stale_nan;
use observe_source::MetricWrite;
use serde_json::{Value, json};

use super::*;

fn job(config: Value) -> ScrapeJob {
    let config: ScrapeConfig = serde_json::from_value(config).unwrap();
    ScrapeJob::new(&GlobalConfig::default(), &config).unwrap()
}

fn check_targets(config: Value, expect: &[&str]) {
    let job = job(config);
    let set = job.targets(&job.config.static_configs);
    let mut shown: Vec<_> = set.active.iter().map(|t| format!("{} {}", t.url, t.labels)).collect();
    shown.extend(set.dropped.iter().map(|labels| format!("dropped {}", labels.get("__address__").unwrap_or_default())));
    shown.extend(set.errors);
    assert_eq!(shown, expect);
}

#[test]
fn targets_with_labels_and_urls() {
    check_targets(
        json!({"job_name": "shop", "static_configs": [{"targets": ["a:1", "b:2", "a:1"], "labels": {"env": "dev"}}]}),
        &[
            r#"http://a:1/metrics {env="dev", instance="a:1", job="shop"}"#,
            r#"http://b:2/metrics {env="dev", instance="b:2", job="shop"}"#,
        ],
    );
    check_targets(
        json!({"job_name": "probe", "metrics_path": "/probe", "scheme": "https", "params": {"module": ["http 2xx", "b"]},
        "static_configs": [{"targets": ["example.org", "skip:1", "http://x"]}],
        "relabel_configs": [
            {"source_labels": ["__address__"], "regex": "skip.*", "action": "drop"},
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"source_labels": ["__address__"], "regex": "example.*", "target_label": "__address__", "replacement": "exporter:9115"},
        ]}),
        &[
            r#"https://exporter:9115/probe?module=http%202xx&module=b&target=example.org {instance="example.org", job="probe"}"#,
            "dropped skip:1",
            r#"job "probe", target "http://x": "http://x" is not an address: host:port is wanted, without a scheme or path"#,
        ],
    );
    check_targets(
        json!({"job_name": "j", "target_limit": 1, "static_configs": [{"targets": ["a:1", "b:1"]}]}),
        &[r#"job "j": 2 targets, more than target_limit 1"#],
    );
}

#[test]
fn configs_that_cannot_be_meant() {
    for (config, expect) in [
        (json!({}), "a scrape config without a job_name"),
        (json!({"job_name": "j", "scheme": "ftp"}), r#"job "j": scheme "ftp" is neither http nor https"#),
        (
            json!({"job_name": "j", "scrape_interval": "5s", "scrape_timeout": "10s"}),
            r#"job "j": scrape_timeout 10s is longer than scrape_interval 5s"#,
        ),
        (
            json!({"job_name": "j", "scrape_interval": "0s"}),
            r#"job "j": scrape_interval and scrape_timeout must be above 0"#,
        ),
        (
            json!({"job_name": "j", "relabel_configs": [{}]}),
            r#"job "j", relabel_configs: relabel rule 1: action replace needs a `target_label`"#,
        ),
    ] {
        let config: ScrapeConfig = serde_json::from_value(config).unwrap();
        assert_eq!(ScrapeJob::new(&GlobalConfig::default(), &config).unwrap_err().to_string(), expect);
    }
    let short = job(json!({"job_name": "j", "scrape_interval": "5s"}));
    assert_eq!(short.timeout.ms, 5000, "the default timeout shrinks to the interval");
}

#[test]
fn targets_are_spread_over_the_interval_and_keep_their_place() {
    let targets: Vec<String> = (0..100).map(|i| format!("host{i}:80")).collect();
    let job = job(json!({"job_name": "j", "scrape_interval": "10s", "static_configs": [{"targets": targets}]}));
    let active = job.targets(&job.config.static_configs).active;
    let due: Vec<i64> = active.iter().map(|t| t.first_scrape_ms(1_000_000_007, 1)).collect();
    assert!(due.iter().all(|t| (1_000_000_007..1_000_010_007).contains(t)));
    let first_half = due.iter().filter(|t| **t < 1_000_005_007).count();
    assert!((25..=75).contains(&first_half), "{first_half} of 100 in the first half");
    for (target, due) in active.iter().zip(&due) {
        assert_eq!(target.first_scrape_ms(*due, 1), *due);
        assert_eq!(target.first_scrape_ms(due + 1, 1), due + 10_000);
    }
}

fn scrape_loop(mut config: Value) -> ScrapeLoop {
    config["job_name"] = json!("j");
    let job = job(config);
    let group = TargetGroup { targets: vec!["h:1".into()], ..TargetGroup::default() };
    let target = job.targets([&group]).active.remove(0);
    ScrapeLoop::new(Arc::new(job), target)
}

fn shown(write: &MetricWrite) -> Vec<String> {
    let show = |(series, time_ms, value): &(u32, i64, f64)| {
        let value = if is_stale_nan(*value) { "stale".to_owned() } else { value.to_string() };
        let labels = write.series.get(*series).to_labels();
        let name = labels.get("__name__").unwrap_or_default().to_owned();
        let rest = labels.without(|n| n == "__name__" || n == "instance").to_string().replace("job=\"j\"", "J");
        format!("{name}{rest} {time_ms} {value}")
    };
    write.samples.iter().map(show).collect()
}

/// Scrapes a text at `start_ms`; the report series are checked apart and left out.
fn check(run: &mut ScrapeLoop, body: &str, start_ms: i64, expect: &[&str]) -> Scraped {
    let fetched = Fetched { content_type: "text/plain".into(), body: body.into() };
    let scraped = run.finish(Ok(&fetched), start_ms, 500_000_000);
    let all = shown(&scraped.write);
    assert_eq!(all[..all.len() - 5], *expect, "{:?}", scraped.error);
    scraped
}

#[test]
fn samples_report_series_and_staleness() {
    let mut run = scrape_loop(json!({}));
    let scraped = check(
        &mut run,
        "# HELP a help\n# TYPE a gauge\na{x=\"1\"} 1\na{x=\"2\"} 2\nt 3 77\n",
        1000,
        &["a{J, x=\"1\"} 1000 1", "a{J, x=\"2\"} 1000 2", "t{J} 77 3"],
    );
    assert_eq!(scraped.write.metadata[0].1.help, "help");
    let report: Vec<_> = shown(&scraped.write).split_off(3);
    assert_eq!(
        report,
        [
            "up{J} 1000 1",
            "scrape_duration_seconds{J} 1000 0.5",
            "scrape_samples_scraped{J} 1000 3",
            "scrape_samples_post_metric_relabeling{J} 1000 3",
            "scrape_series_added{J} 1000 3"
        ]
    );
    assert_eq!(scraped.write.series.get(0).get("instance"), Some("h:1"));
    // One series vanished, the one with its own times just stops; known metadata is not sent again.
    let scraped = check(
        &mut run,
        "# HELP a help\n# TYPE a gauge\na{x=\"1\"} 1\n",
        2000,
        &["a{J, x=\"1\"} 2000 1", "a{J, x=\"2\"} 2000 stale"],
    );
    assert_eq!((scraped.write.metadata.len(), scraped.series_added), (0, 0));
    // The target is down: what was there ends.
    let down = run.finish(Err("connection refused"), 3000, 1);
    assert_eq!(shown(&down.write)[..2], ["a{J, x=\"1\"} 3000 stale", "up{J} 3000 0"]);
    assert_eq!(down.error.as_deref(), Some("connection refused"));
    assert_eq!(shown(&run.finish(Err("x"), 4000, 1).write)[0], "up{J} 4000 0", "nothing ends twice");
    let back = check(&mut run, "a{x=\"1\"} 5\na{x=\"1\"} 6\n", 5000, &["a{J, x=\"1\"} 5000 5"]);
    assert_eq!((back.series_added, back.duplicates), (1, 1));
    let gone = shown(&run.gone(5000));
    assert_eq!((gone.len(), gone[0].as_str(), gone[1].as_str()), (6, "a{J, x=\"1\"} 5001 stale", "up{J} 5001 stale"));
    assert!(run.gone(6000).is_empty());
}

#[test]
fn a_broken_text_is_a_failed_scrape() {
    let mut run = scrape_loop(json!({"sample_limit": 2, "body_size_limit": "64B"}));
    check(&mut run, "a 1\n", 1000, &["a{J} 1000 1"]);
    for (body, expect) in [
        (
            "a 1\nb 2\nc{ 3\n".to_owned(),
            "line 3, column 4: a label name or `}` expected, found '3'; the line begins \"c{ 3\"",
        ),
        ("a 1\nb 2\nc 3\n".to_owned(), "more samples than sample_limit 2"),
        ("#".repeat(65), "the body has 65 bytes, more than body_size_limit 64"),
    ] {
        check(&mut run, "a 1\n", 2000, &["a{J} 2000 1"]);
        let scraped = check(&mut run, &body, 3000, &["a{J} 3000 stale"]);
        assert_eq!(scraped.error.as_deref(), Some(expect));
    }
}

#[test]
fn labels_of_target_and_sample_that_collide() {
    let body = "a{job=\"theirs\",exported_job=\"x\",instance=\"i\"} 1\n";
    let mut run = scrape_loop(json!({}));
    check(
        &mut run,
        body,
        1,
        &["a{exported_exported_job=\"theirs\", exported_instance=\"i\", exported_job=\"x\", J} 1 1"],
    );
    let mut run = scrape_loop(json!({"honor_labels": true}));
    check(&mut run, body, 1, &["a{exported_job=\"x\", job=\"theirs\"} 1 1"]);
}

#[test]
fn metric_relabelling_and_own_times() {
    let mut run = scrape_loop(json!({"honor_timestamps": false, "metric_relabel_configs": [
        {"source_labels": ["__name__"], "regex": "go_.*", "action": "drop"},
        {"regex": "tmp", "action": "labeldrop"},
    ]}));
    let scraped = check(&mut run, "go_x 1\na{tmp=\"1\"} 2 99\n", 1000, &["a{J} 1000 2"]);
    assert_eq!((scraped.samples, scraped.samples_kept, scraped.series_added), (2, 1, 1));
    // A dropped series leaves no marker when it goes.
    check(&mut run, "a{tmp=\"1\"} 2 99\n", 2000, &["a{J} 2000 2"]);
}

#[test]
fn an_exemplar_is_taken_once() {
    let mut run = scrape_loop(json!({}));
    let mut scrape = |value: &str| {
        let body = format!("# TYPE a counter\na_total 1 # {{trace_id=\"x\"}} {value}\n# EOF\n");
        let fetched = Fetched { content_type: "application/openmetrics-text".into(), body: body.into() };
        run.finish(Ok(&fetched), 1000, 1).write.exemplars.len()
    };
    assert_eq!([scrape("1"), scrape("1"), scrape("2")], [1, 0, 1]);
    let empty = Fetched { content_type: "application/openmetrics-text".into(), body: Vec::new() };
    assert_eq!(run.finish(Ok(&empty), 2000, 1).error, None, "a target with nothing to say is up");
}
