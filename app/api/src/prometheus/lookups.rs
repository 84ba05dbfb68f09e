//! What there is to ask about: series, names and values of labels, exemplars, metadata. It runs no query.

use std::collections::BTreeMap;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base_signal::{Matcher, RangeMs, TenantId};
use observe_promql::syntax::quote;
use observe_source::{Annotations, Budget, Cancel, LabelQuery, SourceError};

use super::{Failure, begin, forms, success};
use crate::Api;
use crate::json::{put_labels, put_list, put_string, put_time_ms, put_value};
use crate::params::Params;

/// Looks something up within the request's range and limit; nothing is found where the range ends before it begins.
async fn look_up<T: Default + Send + 'static>(
    api: &Api,
    tenant: TenantId,
    params: &Params,
    (range, limit): (Option<RangeMs>, usize),
    sets: Vec<Vec<Matcher>>,
    work: impl FnOnce(&Api, &LabelQuery<'_>) -> Result<T, SourceError> + Send + 'static,
) -> Result<T, Failure> {
    let Some(range) = range else { return Ok(T::default()) };
    let owned = api.clone();
    let run = move |budget: &Budget, cancel: &Cancel| {
        work(&owned, &LabelQuery { tenant: &tenant, matchers: &sets, range, limit, budget, cancel })
    };
    Ok(api.queries.run(forms::timeout(params)?, run).await??)
}

pub(super) async fn series(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    if params.all("match[]").next().is_none() {
        return Err(Failure::bad_data("no match[] parameter provided"));
    }
    let limit = forms::limit(&params)?;
    let range = forms::range(&params)?;
    let named = |why: String| Failure::bad_data(format!("invalid parameter \"match[]\": {why}"));
    let sets = forms::matchers(&params).map_err(named)?;
    let found = look_up(&api, tenant, &params, (range, limit), sets, |api, query| api.metrics.series(query));
    let (found, annotations) = found.await?;
    let mut out = String::from("[");
    put_list(&mut out, found.iter(), put_labels);
    out.push(']');
    Ok(success(&out, &annotations))
}

pub(super) async fn labels(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let limit = forms::limit(&params)?;
    let range = forms::range(&params)?;
    let sets = forms::matchers(&params).map_err(Failure::bad_data)?;
    let found = look_up(&api, tenant, &params, (range, limit), sets, |api, query| api.metrics.label_names(query));
    let (names, annotations) = found.await?;
    Ok(strings(&names, &annotations))
}

pub(super) async fn label_values(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let name = unescape_name(&name);
    if name.is_empty() {
        return Err(Failure::bad_data(format!("invalid label name: {}", quote(&name))));
    }
    let limit = forms::limit(&params)?;
    let range = forms::range(&params)?;
    let sets = forms::matchers(&params).map_err(Failure::bad_data)?;
    let values = move |api: &Api, query: &LabelQuery<'_>| api.metrics.label_values(&name, query);
    let (values, annotations) = look_up(&api, tenant, &params, (range, limit), sets, values).await?;
    Ok(strings(&values, &annotations))
}

fn strings(items: &[String], annotations: &Annotations) -> Response {
    let mut out = String::from("[");
    put_list(&mut out, items.iter(), |out, item| put_string(out, item));
    out.push(']');
    success(&out, annotations)
}

/// `U__my_2e_label` is `my.label`: how a name outside the classic letters travels in a path (Prometheus's value escaping).
fn unescape_name(name: &str) -> String {
    let Some(escaped) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::new();
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        if let Some(after) = tail.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let code = tail.split_once('_').and_then(|(hex, after)| Some((u32::from_str_radix(hex, 16).ok()?, after)));
        match code.and_then(|(code, after)| Some((char::from_u32(code)?, after))) {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => return name.to_owned(),
        }
    }
    out.push_str(rest);
    out
}

pub(super) async fn query_exemplars(
    State(api): State<Api>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    let range = forms::range(&params)?;
    if range.is_none() {
        return Err(Failure::bad_data("end timestamp must not be before start timestamp"));
    }
    let text = params.get("query").unwrap_or_default();
    let expression = observe_promql::parse(text).map_err(|error| Failure::bad_data(error.to_string()))?;
    let sets: Vec<_> = observe_promql::selectors(&expression).into_iter().map(|s| s.matchers.clone()).collect();
    if sets.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let found = look_up(&api, tenant, &params, (range, 0), sets, |api, query| api.metrics.exemplars(query)).await?;
    let mut out = String::from("[");
    put_list(&mut out, found.iter(), |out, series| {
        out.push_str("{\"seriesLabels\":");
        put_labels(out, &series.labels);
        out.push_str(",\"exemplars\":[");
        put_list(out, series.exemplars.iter(), |out, exemplar| {
            out.push_str("{\"labels\":");
            put_labels(out, &exemplar.labels);
            out.push_str(",\"value\":");
            put_value(out, exemplar.value);
            out.push_str(",\"timestamp\":");
            put_time_ms(out, exemplar.time_ms);
            out.push('}');
        });
        out.push_str("]}");
    });
    out.push(']');
    Ok(success(&out, &Annotations::default()))
}

pub(super) async fn metadata(
    State(api): State<Api>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    let (tenant, params) = begin(&api, &headers, request).await?;
    // Here alone a limit of 0 is none at all and a negative one is no limit.
    let count = |name: &str| forms::number(&params, name).map(|number| number.and_then(|n| usize::try_from(n).ok()));
    let (limit, per_metric) = (count("limit")?, count("limit_per_metric")?.filter(|n| *n > 0));
    let found = api.metrics.metadata(&tenant, params.get("metric"))?;
    let mut families: BTreeMap<&str, Vec<serde_json::Value>> = BTreeMap::new();
    for (name, meta) in &found {
        let entry = serde_json::json!({"type": meta.kind.as_str(), "help": meta.help, "unit": meta.unit});
        let entries = families.entry(name).or_default();
        if per_metric.is_none_or(|most| entries.len() < most) {
            entries.push(entry);
        }
    }
    let cut: BTreeMap<_, _> = families.into_iter().take(limit.unwrap_or(usize::MAX)).collect();
    let data = serde_json::to_string(&cut).map_err(|error| Failure::execution(error.to_string()))?;
    Ok(success(&data, &Annotations::default()))
}

#[cfg(test)]
mod tests {
    use super::unescape_name;

    #[test]
    fn escaped_names() {
        let table =
            [("job", "job"), ("U__my_2e_label", "my.label"), ("U__a__b", "a_b"), ("U__broken_2", "U__broken_2")];
        for (given, expected) in table {
            assert_eq!(unescape_name(given), expected);
        }
    }
}
