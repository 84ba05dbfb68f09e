//! Each service's figures and verdict, for `/apm/v1/services`.
//!
//! What a service answers (server and consumer spans) says how it does for those who call it. One that nobody calls is shown
//! by what it asks of others, and gets no verdict. Knows PromQL and the waist; knows no HTTP.

use std::collections::{BTreeMap, BTreeSet};

use base_signal::{MatchOp, Matcher, RangeNs};
use observe_promql::QueryError;
use observe_source::LabelQuery;
use serde_json::{Value, json};

use crate::apm::{Ask, finite};

/// From which side a service's spans are looked at; the first that it has counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Answers,
    Asks,
    Internal,
}

impl Side {
    const ALL: [Side; 3] = [Side::Answers, Side::Asks, Side::Internal];

    fn kinds(self) -> &'static str {
        match self {
            Side::Answers => "SPAN_KIND_SERVER|SPAN_KIND_CONSUMER",
            Side::Asks => "SPAN_KIND_CLIENT|SPAN_KIND_PRODUCER",
            Side::Internal => "SPAN_KIND_INTERNAL|SPAN_KIND_UNSPECIFIED|",
        }
    }

    fn of(kind: &str) -> Side {
        Side::ALL.into_iter().find(|side| side.kinds().split('|').any(|known| known == kind)).unwrap_or(Side::Internal)
    }
}

/// Calls per second over the whole range.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    all: f64,
    failed: f64,
}

impl Calls {
    fn error_ratio(self) -> Option<f64> {
        (self.all > 0.0).then(|| self.failed / self.all)
    }
}

type ByService<T> = BTreeMap<String, T>;

/// The body of the answer's `services`, by name.
///
/// `rate` is per second over `rate_over_seconds`, which is shorter than the range while there is data for a part of it only.
pub(crate) fn now(ask: &Ask<'_>) -> Result<Vec<Value>, QueryError> {
    let calls = calls(ask, "")?;
    let before = calls_answered_before(ask)?;
    let covered_ms = ask.covered_ms("")?;
    let sides: BTreeSet<Side> = calls.values().map(|(side, _)| *side).collect();
    let mut latency = BTreeMap::new();
    for side in sides {
        latency.insert(side, Latency::of(ask, side)?);
    }
    let versions = versions(ask)?;
    let seen = Seen::look(ask)?;
    let mut names: BTreeSet<&String> = seen.all();
    names.extend(calls.keys());
    let rows = names.into_iter().filter(|name| !name.is_empty()).map(|name| {
        let found = calls.get(name).copied();
        let ratio = found.and_then(|(_, calls)| calls.error_ratio());
        let figures = found.and_then(|(side, _)| latency.get(&side));
        let quantile = |pick: fn(&Latency) -> &ByService<f64>| finite(figures.and_then(|f| pick(f).get(name)));
        let rate = found.map(|(_, calls)| ask.over(covered_ms.get(name), calls.all));
        let p95 = quantile(|f| &f.p95);
        let was = before.get(name).and_then(|calls| calls.error_ratio());
        let verdict = Verdict::of(found.map(|(side, _)| side), ratio, was, p95);
        json!({
            "name": name,
            "rate": rate.map(|(rate, _)| rate),
            "rate_over_seconds": rate.map(|(_, over_ms)| over_ms as f64 / 1000.0),
            "error_ratio": ratio,
            "p50_seconds": quantile(|f| &f.p50),
            "p95_seconds": p95,
            "p99_seconds": quantile(|f| &f.p99),
            "verdict": verdict.word,
            "reasons": verdict.reasons,
            "signals": {
                "traces": seen.traces.contains(name),
                "logs": seen.logs.contains(name),
                "metrics": seen.metrics.contains(name),
            },
            "version": versions.get(name),
            "sparkline": figures.and_then(|f| f.sparks.get(name)).map(|points| {
                points.iter().map(|(t, v)| json!([*t as f64 / 1000.0, v])).collect::<Vec<_>>()
            }).unwrap_or_default(),
        })
    });
    Ok(rows.collect())
}

/// What each service answers or, where nobody calls it, what it asks; else what it does by itself.
fn calls(ask: &Ask<'_>, offset: &str) -> Result<ByService<(Side, Calls)>, QueryError> {
    let window = ask.window();
    let text =
        format!("sum by (service, span_kind, status_code) (rate(traces_spanmetrics_calls_total{window}{offset}))");
    let mut sides: BTreeMap<(String, Side), Calls> = BTreeMap::new();
    for (labels, rate) in ask.numbers(&text)? {
        let label = |name| labels.get(name).unwrap_or_default();
        let calls = sides.entry((label("service").to_owned(), Side::of(label("span_kind")))).or_default();
        calls.all += rate;
        if label("status_code") == "STATUS_CODE_ERROR" {
            calls.failed += rate;
        }
    }
    let mut found = BTreeMap::new();
    for ((service, side), calls) in sides {
        // The sides of a service come in order, so the first one stays.
        found.entry(service).or_insert((side, calls));
    }
    Ok(found)
}

/// An hour ago, of what services answered.
fn calls_answered_before(ask: &Ask<'_>) -> Result<ByService<Calls>, QueryError> {
    let found = calls(ask, " offset 1h")?.into_iter();
    Ok(found.filter(|(_, (side, _))| *side == Side::Answers).map(|(name, (_, calls))| (name, calls)).collect())
}

/// Seconds by service, and the trend of its calls as (ms, calls per second).
struct Latency {
    p50: ByService<f64>,
    p95: ByService<f64>,
    p99: ByService<f64>,
    sparks: ByService<Vec<(i64, f64)>>,
}

impl Latency {
    fn of(ask: &Ask<'_>, side: Side) -> Result<Latency, QueryError> {
        let (kinds, window) = (side.kinds(), ask.window());
        let quantile = |q: f64| {
            let buckets = format!("traces_spanmetrics_latency_bucket{{span_kind=~\"{kinds}\"}}");
            ask.by("service", &format!("histogram_quantile({q}, sum by (service, le) (rate({buckets}{window})))"))
        };
        let trend = format!("sum by (service) (rate(traces_spanmetrics_calls_total{{span_kind=~\"{kinds}\"}}[1m]))");
        let (p50, p95, p99) = (quantile(0.5)?, quantile(0.95)?, quantile(0.99)?);
        Ok(Latency { p50, p95, p99, sparks: ask.sparklines(&trend)? })
    }
}

/// The newest version that each service said of itself. `job` is `namespace/name`, or the name alone.
fn versions(ask: &Ask<'_>) -> Result<BTreeMap<String, String>, QueryError> {
    let mut newest: BTreeMap<String, (f64, String)> = BTreeMap::new();
    for (labels, seen_at) in ask.numbers("max by (job, service_version) (timestamp(target_info))")? {
        let (Some(job), Some(version)) = (labels.get("job"), labels.get("service_version")) else { continue };
        let name = job.rsplit('/').next().unwrap_or(job).to_owned();
        let known = newest.entry(name).or_default();
        if seen_at >= known.0 {
            *known = (seen_at, version.to_owned());
        }
    }
    Ok(newest.into_iter().map(|(name, (_, version))| (name, version)).collect())
}

/// Which services sent which signal in the range.
struct Seen {
    traces: BTreeSet<String>,
    logs: BTreeSet<String>,
    metrics: BTreeSet<String>,
}

impl Seen {
    fn look(ask: &Ask<'_>) -> Result<Seen, QueryError> {
        let ns = |ms: i64| ms.saturating_mul(1_000_000);
        let range_ns = RangeNs::new(ns(ask.range.start_ms), ns(ask.range.end_ms));
        let traces = ask.api.spans.services(ask.tenant, range_ns).map_err(QueryError::Source)?;
        let streams = ask.api.logs.streams(ask.tenant, &[], range_ns, ask.budget).map_err(QueryError::Source)?;
        let logs = streams.iter().filter_map(|labels| labels.get("service_name").map(str::to_owned)).collect();
        // Metrics that came by OTLP carry it; span metrics, which are ours, do not.
        let matchers = [Matcher::new("service_name", MatchOp::NotEqual, "").into_iter().collect()];
        let query = LabelQuery {
            tenant: ask.tenant,
            matchers: &matchers,
            range: ask.range,
            limit: 0,
            budget: ask.budget,
            cancel: ask.cancel,
        };
        let (metrics, _) = ask.api.metrics.label_values("service_name", &query).map_err(QueryError::Source)?;
        Ok(Seen { traces: traces.into_iter().collect(), logs, metrics: metrics.into_iter().collect() })
    }

    fn all(&self) -> BTreeSet<&String> {
        self.traces.iter().chain(&self.logs).chain(&self.metrics).filter(|name| *name != "unknown_service").collect()
    }
}

/// How a service does, and why. Where nobody calls, there is nothing to judge, which is not "fine".
struct Verdict {
    word: &'static str,
    reasons: Vec<String>,
}

/// Above these the on-call wants to know; 1 % and 5 % are the usual first targets where no SLO says otherwise.
const ERROR_RATIO_WARNING: f64 = 0.01;
const ERROR_RATIO_CRITICAL: f64 = 0.05;
const P95_SECONDS_WARNING: f64 = 1.0;

impl Verdict {
    fn of(side: Option<Side>, error_ratio: Option<f64>, before: Option<f64>, p95_seconds: Option<f64>) -> Verdict {
        let none = |word, reason: &str| Verdict { word, reasons: vec![reason.to_owned()] };
        let ratio = match (side, error_ratio) {
            (Some(Side::Answers), Some(ratio)) => ratio,
            (Some(Side::Answers), None) => return none("unknown", "no calls in this range"),
            (Some(Side::Asks), _) => {
                return none("client_only", "nobody calls it; its own calls are shown");
            }
            (Some(Side::Internal), _) => return none("unknown", "has internal spans only: no calls to judge"),
            (None, _) => return none("unknown", "no traces in this range"),
        };
        let mut reasons = Vec::new();
        let mut word = "ok";
        if ratio >= ERROR_RATIO_WARNING {
            word = if ratio >= ERROR_RATIO_CRITICAL { "critical" } else { "warning" };
            let was = before.map(|b| format!(" (was {} % an hour ago)", percent(b))).unwrap_or_default();
            reasons.push(format!("error ratio {} %{was}", percent(ratio)));
        }
        if let Some(seconds) = p95_seconds.filter(|s| *s >= P95_SECONDS_WARNING) {
            word = if word == "ok" { "warning" } else { word };
            reasons.push(format!("p95 latency {seconds:.1} s"));
        }
        Verdict { word, reasons }
    }
}

fn percent(ratio: f64) -> String {
    format!("{:.1}", ratio * 100.0)
}

#[cfg(test)]
mod tests {
    use super::{Side, Verdict};

    #[test]
    fn verdicts() {
        use Side::*;
        let table = [
            (Some(Answers), Some(0.0), None, Some(0.2), "ok: "),
            (Some(Answers), Some(0.02), Some(0.001), Some(0.2), "warning: error ratio 2.0 % (was 0.1 % an hour ago)"),
            (Some(Answers), Some(0.3), None, Some(2.0), "critical: error ratio 30.0 %, p95 latency 2.0 s"),
            (Some(Answers), Some(0.0), None, Some(1.5), "warning: p95 latency 1.5 s"),
            (Some(Answers), None, None, None, "unknown: no calls in this range"),
            (Some(Asks), Some(0.5), None, Some(3.0), "client_only: nobody calls it; its own calls are shown"),
            (Some(Internal), Some(0.5), None, None, "unknown: has internal spans only: no calls to judge"),
            (None, None, None, None, "unknown: no traces in this range"),
        ];
        for (side, ratio, before, p95, expected) in table {
            let verdict = Verdict::of(side, ratio, before, p95);
            assert_eq!(format!("{}: {}", verdict.word, verdict.reasons.join(", ")), expected);
        }
    }

    #[test]
    fn every_kind_of_span_has_its_side() {
        let side = |kind: &str| Side::of(&format!("SPAN_KIND_{kind}"));
        assert_eq!(
            ["SERVER", "CONSUMER", "CLIENT", "PRODUCER"].map(side),
            [Side::Answers, Side::Answers, Side::Asks, Side::Asks]
        );
        assert_eq!(["INTERNAL", "UNSPECIFIED"].map(side), [Side::Internal, Side::Internal]);
        assert_eq!(Side::of(""), Side::Internal);
    }
}
