//! Our own face, `/apm/v1/…`: services with a verdict, their operations, and the state of the engine.
//!
//! The figures come from span metrics by PromQL, so that a person can ask the same on the metrics page and see the same.

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base_signal::{Labels, MatchOp, Matcher, RangeMs, RangeNs, TenantId};
use observe_promql::{Engine, PointValue, Query, QueryError, Value, VectorPoint};
use observe_source::{Budget, Cancel, LabelQuery};
use serde_json::json;

use crate::Api;
use crate::params::Params;

/// Points of a sparkline.
const SPARK_POINTS: i64 = 30;
/// A shorter range has too few samples for a rate.
const RANGE_MS_MIN: i64 = 60_000;

/// Spans that say how a service does for those who call it: what it answers, not what it asks of others.
const INBOUND: &str = r#"span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER""#;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/apm/v1/services", get(services))
        .route("/apm/v1/services/{name}/operations", get(operations))
        .route("/apm/v1/status", get(|State(api): State<Api>| async move { axum::Json(api.control.status()) }))
}

struct Failure(StatusCode, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, axum::Json(json!({"error": {"message": self.1}}))).into_response()
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        Failure(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

fn bad(text: impl Into<String>) -> Failure {
    Failure(StatusCode::BAD_REQUEST, text.into())
}

/// Asks PromQL several things of the same moment.
struct Ask<'a> {
    api: &'a Api,
    tenant: &'a TenantId,
    budget: &'a Budget,
    cancel: &'a Cancel,
    range: RangeMs,
}

impl Ask<'_> {
    fn query<'q>(&'q self, text: &'q str) -> Query<'q> {
        Query { text, tenant: self.tenant, budget: self.budget, cancel: self.cancel }
    }

    /// `[…s]` over the whole range.
    fn window(&self) -> String {
        format!("[{}ms]", (self.range.end_ms - self.range.start_ms).max(RANGE_MS_MIN))
    }

    /// One number for each label set.
    fn numbers(&self, text: &str) -> Result<Vec<(Labels, f64)>, QueryError> {
        let answer = Engine::default().instant(self.api.metrics.as_ref(), &self.query(text), self.range.end_ms)?;
        match answer.value {
            Value::Vector(points) => {
                let float = |point: VectorPoint| match point.value {
                    PointValue::Float(value) => Some((point.labels, value)),
                    PointValue::Histogram(_) => None,
                };
                Ok(points.into_iter().filter_map(float).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn by(&self, label: &str, text: &str) -> Result<BTreeMap<String, f64>, QueryError> {
        let name = |labels: &Labels| labels.get(label).unwrap_or_default().to_owned();
        Ok(self.numbers(text)?.into_iter().map(|(labels, value)| (name(&labels), value)).collect())
    }

    fn sparklines(&self, text: &str) -> Result<BTreeMap<String, Vec<(i64, f64)>>, QueryError> {
        let step_ms = ((self.range.end_ms - self.range.start_ms) / SPARK_POINTS).max(5000);
        let (start, end) = (self.range.start_ms, self.range.end_ms);
        let answer = Engine::default().range(self.api.metrics.as_ref(), &self.query(text), start, end, step_ms)?;
        let Value::Matrix(series) = answer.value else { return Ok(BTreeMap::new()) };
        Ok(series.into_iter().map(|s| (s.labels.get("service").unwrap_or_default().to_owned(), s.points)).collect())
    }
}

async fn begin(api: &Api, headers: &HeaderMap, request: Request) -> Result<(TenantId, RangeMs), Failure> {
    let tenant = api.tenant(headers).map_err(bad)?;
    let params = Params::read(request).await.map_err(bad)?;
    let end_ms = params.time_ms("end").map_err(bad)?.unwrap_or_else(|| api.clock.now_ms());
    let start_ms = params.time_ms("start").map_err(bad)?.unwrap_or(end_ms - 900_000);
    if end_ms <= start_ms {
        return Err(bad("invalid parameter \"end\": it must be after start"));
    }
    Ok((tenant, RangeMs::new(start_ms, end_ms)))
}

async fn services(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, range) = begin(&api, &headers, request).await?;
    let queries = api.queries.clone();
    let found = queries
        .run(None, move |budget, cancel| services_now(&Ask { api: &api, tenant: &tenant, budget, cancel, range }))
        .await
        .map_err(|refused| Failure(StatusCode::SERVICE_UNAVAILABLE, refused.to_string()))??;
    Ok(axum::Json(json!({"services": found})).into_response())
}

fn services_now(ask: &Ask<'_>) -> Result<Vec<serde_json::Value>, QueryError> {
    let window = ask.window();
    let calls = |extra: &str, offset: &str| {
        format!("sum by (service) (rate(traces_spanmetrics_calls_total{{{INBOUND}{extra}}}{window}{offset}))")
    };
    let all_calls = format!("sum by (service) (rate(traces_spanmetrics_calls_total{window}))");
    let errors = ",status_code=\"STATUS_CODE_ERROR\"";
    let rates = ask.by("service", &calls("", ""))?;
    let any_rates = ask.by("service", &all_calls)?;
    let error_rates = ask.by("service", &calls(errors, ""))?;
    let before = ask.by("service", &calls(errors, " offset 1h"))?;
    let before_all = ask.by("service", &calls("", " offset 1h"))?;
    let quantile = |q: f64| {
        let text = format!(
            "histogram_quantile({q}, sum by (service, le) (rate(traces_spanmetrics_latency_bucket{{{INBOUND}}}{window})))"
        );
        ask.by("service", &text)
    };
    let (p50, p95, p99) = (quantile(0.5)?, quantile(0.95)?, quantile(0.99)?);
    let sparks =
        ask.sparklines(&format!("sum by (service) (rate(traces_spanmetrics_calls_total{{{INBOUND}}}[1m]))"))?;
    let versions = versions(ask)?;
    let seen = Seen::look(ask)?;
    let mut names: BTreeSet<&String> = seen.all();
    names.extend(any_rates.keys());
    Ok(names
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(|name| {
            let rate = rates.get(name).copied();
            let share = |errors: &BTreeMap<String, f64>, all: &BTreeMap<String, f64>| {
                all.get(name).filter(|rate| **rate > 0.0).map(|rate| errors.get(name).copied().unwrap_or(0.0) / rate)
            };
            let error_ratio = share(&error_rates, &rates);
            let verdict = Verdict::of(error_ratio, share(&before, &before_all), finite(p95.get(name)));
            json!({
                "name": name,
                "rate": rate.or_else(|| any_rates.get(name).copied()),
                "error_ratio": error_ratio,
                "p50_seconds": finite(p50.get(name)),
                "p95_seconds": finite(p95.get(name)),
                "p99_seconds": finite(p99.get(name)),
                "verdict": verdict.word,
                "reasons": verdict.reasons,
                "signals": {
                    "traces": seen.traces.contains(name),
                    "logs": seen.logs.contains(name),
                    "metrics": seen.metrics.contains(name),
                },
                "version": versions.get(name),
                "sparkline": sparks.get(name).map(|points| {
                    points.iter().map(|(t, v)| json!([*t as f64 / 1000.0, v])).collect::<Vec<_>>()
                }).unwrap_or_default(),
            })
        })
        .collect())
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

fn finite(value: Option<&f64>) -> Option<f64> {
    value.copied().filter(|v| v.is_finite())
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

/// How a service does, and why. Without calls there is nothing to judge, which is not "fine".
struct Verdict {
    word: &'static str,
    reasons: Vec<String>,
}

/// Above these the on-call wants to know; 1 % and 5 % are the usual first targets where no SLO says otherwise.
const ERROR_RATIO_WARNING: f64 = 0.01;
const ERROR_RATIO_CRITICAL: f64 = 0.05;
const P95_SECONDS_WARNING: f64 = 1.0;

impl Verdict {
    fn of(error_ratio: Option<f64>, before: Option<f64>, p95_seconds: Option<f64>) -> Verdict {
        let Some(ratio) = error_ratio else {
            return Verdict { word: "unknown", reasons: vec!["no calls in this range".into()] };
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

async fn operations(
    State(api): State<Api>,
    Path(service): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    let (tenant, range) = begin(&api, &headers, request).await?;
    let queries = api.queries.clone();
    let found = queries
        .run(None, move |budget, cancel| {
            operations_of(&Ask { api: &api, tenant: &tenant, budget, cancel, range }, &service)
        })
        .await
        .map_err(|refused| Failure(StatusCode::SERVICE_UNAVAILABLE, refused.to_string()))??;
    Ok(axum::Json(json!({"operations": found})).into_response())
}

fn operations_of(ask: &Ask<'_>, service: &str) -> Result<Vec<serde_json::Value>, QueryError> {
    type ByOperation = BTreeMap<(String, String), f64>;
    let window = ask.window();
    // As a PromQL string literal: its escapes are Go's, which JSON's are a part of.
    let service = serde_json::Value::from(service).to_string();
    let ask_by = |text: &str| -> Result<ByOperation, QueryError> {
        let key = |l: &Labels| {
            let label = |name| l.get(name).unwrap_or_default().to_owned();
            (label("span_name"), label("span_kind"))
        };
        Ok(ask.numbers(text)?.into_iter().map(|(labels, value)| (key(&labels), value)).collect())
    };
    let calls = |extra: &str| {
        format!(
            "sum by (span_name, span_kind) (rate(traces_spanmetrics_calls_total{{service={service}{extra}}}{window}))"
        )
    };
    let quantile = |q: f64| {
        ask_by(&format!(
            "histogram_quantile({q}, sum by (span_name, span_kind, le) (rate(traces_spanmetrics_latency_bucket{{service={service}}}{window})))"
        ))
    };
    let rates = ask_by(&calls(""))?;
    let errors = ask_by(&calls(",status_code=\"STATUS_CODE_ERROR\""))?;
    let (p50, p95, p99) = (quantile(0.5)?, quantile(0.95)?, quantile(0.99)?);
    Ok(rates
        .iter()
        .map(|(key, rate)| {
            let ratio = if *rate > 0.0 { Some(errors.get(key).copied().unwrap_or(0.0) / rate) } else { None };
            json!({
                "name": key.0, "kind": key.1, "rate": rate, "error_ratio": ratio,
                "p50_seconds": finite(p50.get(key)),
                "p95_seconds": finite(p95.get(key)),
                "p99_seconds": finite(p99.get(key)),
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::Verdict;

    #[test]
    fn verdicts() {
        let table = [
            (None, None, None, "unknown: no calls in this range"),
            (Some(0.0), None, Some(0.2), "ok: "),
            (Some(0.02), Some(0.001), Some(0.2), "warning: error ratio 2.0 % (was 0.1 % an hour ago)"),
            (Some(0.3), None, Some(2.0), "critical: error ratio 30.0 %, p95 latency 2.0 s"),
            (Some(0.0), None, Some(1.5), "warning: p95 latency 1.5 s"),
        ];
        for (ratio, before, p95, expected) in table {
            let verdict = Verdict::of(ratio, before, p95);
            assert_eq!(format!("{}: {}", verdict.word, verdict.reasons.join(", ")), expected);
        }
    }
}
