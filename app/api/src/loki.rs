//! Loki's HTTP API for reading: queries, labels and series. Errors are plain text, as Loki's are.

use std::collections::BTreeSet;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base_signal::{Labels, Matcher, RangeNs, TenantId};
use observe_logql::syntax::ExprKind;
use observe_logql::{Answer, Data, Engine, Point, Query, QueryError};
use observe_source::{Direction, SourceError};

use crate::Api;
use crate::json::{put_labels, put_list, put_pairs, put_point, put_string};
use crate::params::Params;
use crate::query::Refused;

/// What Loki looks back when no start is given.
const DEFAULT_RANGE_NS: i64 = 3_600_000_000_000;
const LABELS_RANGE_NS: i64 = 6 * DEFAULT_RANGE_NS;
const DEFAULT_LIMIT: u64 = 100;

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/loki/api/v1/query", get(query).post(query))
        .route("/loki/api/v1/query_range", get(query_range).post(query_range))
        .route("/loki/api/v1/labels", get(labels).post(labels))
        .route("/loki/api/v1/label/{name}/values", get(label_values).post(label_values))
        .route("/loki/api/v1/series", get(series).post(series))
        .route("/loki/ready", get(|| async { "ready\n" }))
        .route("/loki/api/v1/status/buildinfo", get(buildinfo))
}

struct Failure(StatusCode, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, self.1 + "\n").into_response()
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Refused::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure(status, refused.to_string())
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let status = match &error {
            SourceError::Budget { .. } => StatusCode::BAD_REQUEST,
            SourceError::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure(status, error.to_string())
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Source(error) => error.into(),
            error => bad(error.to_string()),
        }
    }
}

fn bad(text: impl Into<String>) -> Failure {
    Failure(StatusCode::BAD_REQUEST, text.into())
}

async fn begin(api: &Api, headers: &HeaderMap, request: Request) -> Result<(TenantId, Params), Failure> {
    let tenant = api.tenant(headers).map_err(bad)?;
    let params = Params::read(request).await.map_err(bad)?;
    Ok((tenant, params))
}

fn direction(params: &Params) -> Result<Direction, Failure> {
    match params.get("direction").map(str::to_ascii_lowercase).as_deref() {
        None | Some("backward") => Ok(Direction::Backward),
        Some("forward") => Ok(Direction::Forward),
        Some(other) => Err(bad(format!("invalid direction '{other}': it is `forward` or `backward`"))),
    }
}

fn limit(params: &Params) -> Result<usize, Failure> {
    let limit = params.number("limit").map_err(bad)?.filter(|n| *n > 0).unwrap_or(DEFAULT_LIMIT);
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Start and end in nanoseconds; `since` or the default says how far back a missing start is.
fn range(api: &Api, params: &Params, default_ns: i64) -> Result<(i64, i64), Failure> {
    let end_ns = params.time_ns("end").map_err(bad)?.unwrap_or_else(|| api.clock.now_ns());
    let since_ns = params.duration_ms("since").map_err(bad)?.map_or(default_ns, |ms| ms.saturating_mul(1_000_000));
    let start_ns = params.time_ns("start").map_err(bad)?.unwrap_or_else(|| end_ns.saturating_sub(since_ns));
    if end_ns < start_ns {
        return Err(bad("end timestamp must not be before or equal to start time"));
    }
    Ok((start_ns, end_ns))
}

async fn query_range(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let categorize = categorizes(&headers);
    let (tenant, params) = begin(&api, &headers, request).await?;
    let text = params.required("query").map_err(bad)?.to_owned();
    let (start_ns, end_ns) = range(&api, &params, DEFAULT_RANGE_NS)?;
    // Loki's own default: about 250 points, at least a second apart.
    let default_step_ms = ((end_ns - start_ns) / 250 / 1_000_000_000).max(1) * 1000;
    let step_ms = params.duration_ms("step").map_err(bad)?.unwrap_or(default_step_ms);
    if step_ms <= 0 {
        return Err(bad("zero or negative query resolution step widths are not accepted. Try a positive integer"));
    }
    if (end_ns - start_ns) / 1_000_000 / step_ms > 11_000 {
        return Err(bad(
            "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
        ));
    }
    let (direction, limit) = (direction(&params)?, limit(&params)?);
    let answer = api
        .queries
        .run(None, move |budget, cancel| {
            let query = Query { text: &text, tenant: &tenant, budget, cancel };
            Engine::default().query_range(api.logs.as_ref(), &query, start_ns, end_ns, step_ms, limit, direction)
        })
        .await??;
    Ok(respond(&answer, categorize))
}

async fn query(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let categorize = categorizes(&headers);
    let (tenant, params) = begin(&api, &headers, request).await?;
    let text = params.required("query").map_err(bad)?.to_owned();
    let time_ns = params.time_ns("time").map_err(bad)?.unwrap_or_else(|| api.clock.now_ns());
    let (direction, limit) = (direction(&params)?, limit(&params)?);
    let answer = api
        .queries
        .run(None, move |budget, cancel| {
            let query = Query { text: &text, tenant: &tenant, budget, cancel };
            Engine::default().query(api.logs.as_ref(), &query, time_ns, limit, direction)
        })
        .await??;
    Ok(respond(&answer, categorize))
}

/// Whether the client wants structured metadata and parsed labels apart from the stream's own.
fn categorizes(headers: &HeaderMap) -> bool {
    let flags = headers.get("x-loki-response-encoding-flags").and_then(|v| v.to_str().ok()).unwrap_or_default();
    flags.split(',').any(|flag| flag.trim() == "categorize-labels")
}

/// Metric answers of Loki carry milliseconds, as Prometheus's do.
fn put_ns_point(out: &mut String, point: &Point) {
    put_point(out, point.time_ns.div_euclid(1_000_000), point.value);
}

fn respond(answer: &Answer, categorize: bool) -> Response {
    let mut out = String::from("{\"status\":\"success\",\"data\":{\"resultType\":\"");
    match &answer.data {
        Data::Streams(streams) => {
            out.push_str("streams\",\"result\":[");
            put_list(&mut out, streams.iter(), |out, stream| {
                out.push_str("{\"stream\":");
                put_labels(out, if categorize { &stream.stream } else { &stream.labels });
                out.push_str(",\"values\":[");
                put_list(out, stream.entries.iter(), |out, entry| {
                    out.push_str(&format!("[\"{}\",", entry.time_ns));
                    put_string(out, &entry.line);
                    if categorize {
                        let pairs = |pairs: &'_ [(String, String)], out: &mut String| {
                            put_pairs(out, pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())));
                        };
                        out.push_str(",{");
                        if !entry.structured_metadata.is_empty() {
                            out.push_str("\"structuredMetadata\":");
                            pairs(&entry.structured_metadata, out);
                        }
                        if !entry.parsed.is_empty() {
                            out.push_str(if entry.structured_metadata.is_empty() {
                                "\"parsed\":"
                            } else {
                                ",\"parsed\":"
                            });
                            pairs(&entry.parsed, out);
                        }
                        out.push('}');
                    }
                    out.push(']');
                });
                out.push_str("]}");
            });
            out.push(']');
        }
        Data::Matrix(series) => {
            out.push_str("matrix\",\"result\":[");
            put_list(&mut out, series.iter(), |out, series| {
                out.push_str("{\"metric\":");
                put_labels(out, &series.labels);
                out.push_str(",\"values\":[");
                put_list(out, series.points.iter(), put_ns_point);
                out.push_str("]}");
            });
            out.push(']');
        }
        Data::Vector(points) => {
            out.push_str("vector\",\"result\":[");
            put_list(&mut out, points.iter(), |out, point| {
                out.push_str("{\"metric\":");
                put_labels(out, &point.labels);
                out.push_str(",\"value\":");
                put_ns_point(out, &point.point);
                out.push('}');
            });
            out.push(']');
        }
        Data::Scalar { time_ns, value } => {
            out.push_str("scalar\",\"result\":");
            put_ns_point(&mut out, &Point { time_ns: *time_ns, value: *value });
        }
    }
    if categorize {
        out.push_str(",\"encodingFlags\":[\"categorize-labels\"]");
    }
    let stats = serde_json::json!({"summary": {
        "totalBytesProcessed": answer.statistics.bytes, "totalLinesProcessed": answer.statistics.lines,
    }});
    out.push_str(&format!(",\"stats\":{stats}}}}}"));
    ([(header::CONTENT_TYPE, "application/json")], out).into_response()
}

/// The streams that a request for labels is about.
async fn streams(api: &Api, tenant: TenantId, params: &Params, names: &'static str) -> Result<Vec<Labels>, Failure> {
    let (start_ns, end_ns) = range(api, params, LABELS_RANGE_NS)?;
    let read = |text: &str| match observe_logql::parse(text).map_err(|error| bad(error.to_string()))?.kind {
        ExprKind::Log(log) if log.stages.is_empty() => Ok(log.selector.matchers),
        _ => Err(bad(format!("only label matchers are supported, such as {{job=\"app\"}}, not {text}"))),
    };
    let sets: Vec<Vec<Matcher>> =
        params.all(names).filter(|text| !text.is_empty()).map(read).collect::<Result<_, _>>()?;
    let logs = api.logs.clone();
    let range = RangeNs::new(start_ns, end_ns);
    Ok(api.queries.run(None, move |budget, _| logs.streams(&tenant, &sets, range, budget)).await??)
}

fn strings(items: BTreeSet<String>) -> Response {
    axum::Json(serde_json::json!({"status": "success", "data": items})).into_response()
}

async fn labels(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let streams = streams(&api, tenant, &params, "query").await?;
    Ok(strings(streams.iter().flat_map(|s| s.iter().map(|(name, _)| name.to_owned())).collect()))
}

async fn label_values(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let streams = streams(&api, tenant, &params, "query").await?;
    Ok(strings(streams.iter().filter_map(|s| s.get(&name).map(str::to_owned)).collect()))
}

async fn series(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let names = if params.all("match[]").next().is_some() { "match[]" } else { "match" };
    let streams = streams(&api, tenant, &params, names).await?;
    let mut out = String::from("{\"status\":\"success\",\"data\":[");
    put_list(&mut out, streams.iter(), put_labels);
    out.push_str("]}");
    Ok(([(header::CONTENT_TYPE, "application/json")], out).into_response())
}

/// The version is the Loki whose API this is.
async fn buildinfo() -> Response {
    let revision = concat!("apm-", env!("CARGO_PKG_VERSION"));
    axum::Json(serde_json::json!({"version": "3.7.8", "revision": revision, "branch": "", "goVersion": ""}))
        .into_response()
}
