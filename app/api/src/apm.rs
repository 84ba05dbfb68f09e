//! Our own face, `/apm/v1/…`: services, their operations, and the state of the engine.
//!
//! The figures come from span metrics by PromQL, so that a person can ask the same on the metrics page and see the same.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base_signal::{Labels, RangeMs, TenantId};
use observe_promql::{Engine, PointValue, Query, QueryError, Value, VectorPoint};
use observe_source::{Budget, Cancel};
use serde_json::json;

use crate::params::Params;
use crate::{Api, services};

/// Points of a sparkline.
const SPARK_POINTS: i64 = 30;
/// A shorter range has too few samples for a rate.
const RANGE_MS_MIN: i64 = 60_000;

/// Samples of one series lie closer than this, so data that begins this soon in a range fills it.
const GAP_MS_MAX: i64 = 20_000;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/apm/v1/services", get(all_services))
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
pub(crate) struct Ask<'a> {
    pub(crate) api: &'a Api,
    pub(crate) tenant: &'a TenantId,
    pub(crate) budget: &'a Budget,
    pub(crate) cancel: &'a Cancel,
    pub(crate) range: RangeMs,
}

impl Ask<'_> {
    fn query<'q>(&'q self, text: &'q str) -> Query<'q> {
        Query { text, tenant: self.tenant, budget: self.budget, cancel: self.cancel }
    }

    fn window_ms(&self) -> i64 {
        (self.range.end_ms - self.range.start_ms).max(RANGE_MS_MIN)
    }

    /// `[…ms]` over the whole range.
    pub(crate) fn window(&self) -> String {
        format!("[{}ms]", self.window_ms())
    }

    /// For each service, the part of the range in ms for which there is data, if that is not all of it. `rate` divides by
    /// the whole range, so in the first minutes of a service it reads low.
    pub(crate) fn covered_ms(&self, extra: &str) -> Result<BTreeMap<String, i64>, QueryError> {
        let window = self.window();
        let text =
            format!("min by (service) (ts_of_first_over_time(traces_spanmetrics_calls_total{{{extra}}}{window}))");
        let begun = self.by("service", &text)?;
        let covered = |begun_s: f64| self.range.end_ms - (begun_s * 1000.0) as i64;
        let all = begun.into_iter().map(|(name, begun_s)| (name, covered(begun_s)));
        Ok(all.filter(|(_, ms)| (1..self.window_ms() - GAP_MS_MAX).contains(ms)).collect())
    }

    /// A rate over the whole range as one over the time that is covered, and that time in ms.
    pub(crate) fn over(&self, covered_ms: Option<&i64>, rate: f64) -> (f64, i64) {
        let window_ms = self.window_ms();
        covered_ms.map_or((rate, window_ms), |ms| (rate * window_ms as f64 / *ms as f64, *ms))
    }

    /// One number for each label set.
    pub(crate) fn numbers(&self, text: &str) -> Result<Vec<(Labels, f64)>, QueryError> {
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

    pub(crate) fn by(&self, label: &str, text: &str) -> Result<BTreeMap<String, f64>, QueryError> {
        let name = |labels: &Labels| labels.get(label).unwrap_or_default().to_owned();
        Ok(self.numbers(text)?.into_iter().map(|(labels, value)| (name(&labels), value)).collect())
    }

    pub(crate) fn sparklines(&self, text: &str) -> Result<BTreeMap<String, Vec<(i64, f64)>>, QueryError> {
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

async fn all_services(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, range) = begin(&api, &headers, request).await?;
    let queries = api.queries.clone();
    let found = queries
        .run(None, move |budget, cancel| services::now(&Ask { api: &api, tenant: &tenant, budget, cancel, range }))
        .await
        .map_err(|refused| Failure(StatusCode::SERVICE_UNAVAILABLE, refused.to_string()))??;
    Ok(axum::Json(json!({"services": found})).into_response())
}

/// A number that JSON can carry.
pub(crate) fn finite(value: Option<&f64>) -> Option<f64> {
    value.copied().filter(|v| v.is_finite())
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
    // Of the service, not of each operation: one that is rarely called has a low rate.
    let covered_ms = ask.covered_ms(&format!("service={service}"))?.into_values().next();
    let errors = ask_by(&calls(",status_code=\"STATUS_CODE_ERROR\""))?;
    let (p50, p95, p99) = (quantile(0.5)?, quantile(0.95)?, quantile(0.99)?);
    Ok(rates
        .iter()
        .map(|(key, rate)| {
            let ratio = if *rate > 0.0 { Some(errors.get(key).copied().unwrap_or(0.0) / rate) } else { None };
            let (rate, over_ms) = ask.over(covered_ms.as_ref(), *rate);
            json!({
                "name": key.0, "kind": key.1, "rate": rate, "rate_over_seconds": over_ms as f64 / 1000.0,
                "error_ratio": ratio,
                "p50_seconds": finite(p50.get(key)),
                "p95_seconds": finite(p95.get(key)),
                "p99_seconds": finite(p99.get(key)),
            })
        })
        .collect())
}
