//! What became of releases, in numbers: for `/apm/v1/deployments/metrics` and, in Prometheus' words, for `/metrics`. It reads no history.

use std::collections::BTreeMap;

use app_deploy::Told;
use base_signal::MetricKind;
use observe_wire::exposition::TextWriter;
use serde_json::{Value, json};

/// Upper bounds in seconds: from a container that is exchanged to a release that is watched for a day.
const BUCKETS_S: [f64; 10] = [5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 86_400.0];

/// The figures of the releases that were over since then.
pub(crate) fn figures(told: &[Told], since_ms: i64, until_ms: i64) -> Value {
    let within: Vec<&Told> = told.iter().filter(|run| (since_ms..=until_ms).contains(&run.ended_ms)).collect();
    let mut outcomes: BTreeMap<&str, usize> = ["complete", "rolled-back", "failed"].map(|word| (word, 0)).into();
    for run in &within {
        *outcomes.entry(run.status.word()).or_default() += 1;
    }
    let mut took: Vec<u64> = within.iter().map(|run| run.took_ms).collect();
    took.sort_unstable();
    // Nearest rank.
    let rank = |percent: usize| took.get((took.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    let complete = outcomes.get("complete").copied().unwrap_or(0);
    json!({
        "since_ms": since_ms,
        "until_ms": until_ms,
        "total": within.len(),
        "outcomes": outcomes,
        "success_ratio": (!within.is_empty()).then(|| complete as f64 / within.len() as f64),
        "duration_ms": {"p50": rank(50), "p95": rank(95)},
        "hurt_ms": within.iter().map(|run| run.hurt_ms()).sum::<u64>(),
        "dora": app_deploy::keys(told, since_ms, until_ms),
    })
}

/// The engine's own metrics about all releases that are known.
pub(crate) fn render(told: &[Told], out: &mut TextWriter) {
    if told.is_empty() {
        // A project without deployments has no such metrics at all.
        return;
    }
    let seconds = |ms: u64| ms as f64 / 1000.0;
    let mut totals: BTreeMap<[&str; 4], u64> = BTreeMap::new();
    let mut took: BTreeMap<[&str; 2], Vec<f64>> = BTreeMap::new();
    let mut lead: BTreeMap<[&str; 2], Vec<f64>> = BTreeMap::new();
    let mut hurt: BTreeMap<[&str; 2], u64> = BTreeMap::new();
    let mut backs: BTreeMap<[&str; 2], u64> = BTreeMap::new();
    for run in told {
        let of = [run.service.as_str(), run.environment.as_str()];
        *totals.entry([of[0], of[1], run.strategy.as_str(), run.status.word()]).or_default() += 1;
        took.entry(of).or_default().push(seconds(run.took_ms));
        *hurt.entry(of).or_default() += run.hurt_ms();
        *backs.entry(of).or_default() += u64::from(run.status.word() == "rolled-back");
        let built = run.built_ms.filter(|_| run.status.word() == "complete");
        if let Some(age_ms) = built.and_then(|built_ms| u64::try_from(run.ended_ms - built_ms).ok()) {
            lead.entry(of).or_default().push(seconds(age_ms));
        }
    }
    let name = "apm_deployments_total";
    out.family(name, MetricKind::Counter, "Releases that are over, by how they ended.");
    for ([service, environment, strategy, outcome], count) in &totals {
        let labels =
            [("service", *service), ("environment", *environment), ("strategy", *strategy), ("outcome", *outcome)];
        out.sample(name, &labels, *count as f64);
    }
    let help = "From the first executor to the end, without the time that people took to answer.";
    histogram(out, "apm_deployment_duration_seconds", help, &took);
    histogram(out, "apm_deployment_lead_time_seconds", "From an image's build to the end of its release.", &lead);
    let mut counter = |name: &str, help: &str, counts: &BTreeMap<[&str; 2], u64>, unit: f64| {
        out.family(name, MetricKind::Counter, help);
        for ([service, environment], count) in counts {
            out.sample(name, &[("service", service), ("environment", environment)], *count as f64 / unit);
        }
    };
    counter("apm_deployment_rollbacks_total", "Releases that were undone.", &backs, 1.0);
    let help = "For how long releases hurt people before they were undone, as the judge saw it.";
    counter("apm_deployment_hurt_seconds_total", help, &hurt, 1000.0);
}

fn histogram(out: &mut TextWriter, name: &str, help: &str, values: &BTreeMap<[&str; 2], Vec<f64>>) {
    if values.is_empty() {
        return;
    }
    out.family(name, MetricKind::Histogram, help);
    for ([service, environment], values) in values {
        let labels = [("service", *service), ("environment", *environment)];
        let mut bucket = |bound: &str, count: usize| {
            let [service, environment] = labels;
            out.sample(&format!("{name}_bucket"), &[service, environment, ("le", bound)], count as f64);
        };
        for bound in BUCKETS_S {
            bucket(&bound.to_string(), values.iter().filter(|value| **value <= bound).count());
        }
        bucket("+Inf", values.len());
        out.sample(&format!("{name}_sum"), &labels, values.iter().sum());
        out.sample(&format!("{name}_count"), &labels, values.len() as f64);
    }
}

#[cfg(test)]
mod tests {
    use observe_wire::exposition::Format;
    use operate_execute::{RunId, Status};

    use super::*;

    fn run(status: Status, took_ms: u64, hurt_ms: Option<i64>) -> Told {
        Told {
            run: RunId(format!("cart-{took_ms}")),
            service: "cart".into(),
            environment: "prod".into(),
            version: "2".into(),
            version_before: "1".into(),
            strategy: "recreate".into(),
            status,
            created_ms: 0,
            ended_ms: 100_000,
            took_ms,
            hurt_since_ms: hurt_ms.map(|ms| 100_000 - ms),
            changed_ms: Some(50_000),
            built_ms: Some(70_000),
        }
    }

    #[test]
    fn releases_in_prometheus_words() {
        let told = [
            run(Status::Complete, 10_000, None),
            run(Status::Complete, 200_000, None),
            run(Status::RolledBack, 40_000, Some(2_500)),
        ];
        let mut out = TextWriter::new(Format::Prometheus);
        render(&told, &mut out);
        let text = out.finish();
        let of = r#"service="cart",environment="prod""#;
        for line in [
            format!(r#"apm_deployments_total{{{of},strategy="recreate",outcome="complete"}} 2"#),
            format!(r#"apm_deployments_total{{{of},strategy="recreate",outcome="rolled-back"}} 1"#),
            format!(r#"apm_deployment_duration_seconds_bucket{{{of},le="5"}} 0"#),
            format!(r#"apm_deployment_duration_seconds_bucket{{{of},le="60"}} 2"#),
            format!(r#"apm_deployment_duration_seconds_bucket{{{of},le="+Inf"}} 3"#),
            format!("apm_deployment_duration_seconds_sum{{{of}}} 250"),
            format!("apm_deployment_duration_seconds_count{{{of}}} 3"),
            format!("apm_deployment_lead_time_seconds_count{{{of}}} 2"),
            format!("apm_deployment_rollbacks_total{{{of}}} 1"),
            format!("apm_deployment_hurt_seconds_total{{{of}}} 2.5"),
        ] {
            assert!(text.lines().any(|found| found == line), "no line {line} in\n{text}");
        }
        let found = figures(&told, 0, 100_000);
        assert_eq!((&found["total"], &found["duration_ms"]), (&json!(3), &json!({"p50": 40_000, "p95": 200_000})));
        assert_eq!((&found["hurt_ms"], &found["dora"]["restore_ms"]["value"]), (&json!(2_500), &json!(2_500.0)));
        assert_eq!(figures(&told, 200_000, 300_000)["success_ratio"], Value::Null);
    }
}
