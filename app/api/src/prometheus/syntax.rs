//! `/api/v1/format_query` and `/api/v1/parse_query`: the text of a query, laid out and taken apart. They run nothing.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use observe_promql::Expr;
use observe_source::Annotations;

use super::tree::tree;
use super::{Failure, begin, success};
use crate::Api;
use crate::json::put_string;

pub(super) async fn format_query(
    State(api): State<Api>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    let laid_out = parsed(&api, &headers, request, |expr| {
        let mut out = String::new();
        put_string(&mut out, &observe_promql::syntax::pretty(expr));
        out
    });
    laid_out.await
}

pub(super) async fn parse_query(
    State(api): State<Api>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    parsed(&api, &headers, request, |expr| tree(expr).to_string()).await
}

/// Off the async threads: a form of megabytes is a tree of hundreds of thousands of nodes.
async fn parsed(
    api: &Api,
    headers: &HeaderMap,
    request: Request,
    shown: impl FnOnce(&Expr) -> String + Send + 'static,
) -> Result<Response, Failure> {
    let (_, params) = begin(api, headers, request).await?;
    let text = params.get("query").unwrap_or_default().to_owned();
    let work = move |_: &_, _: &_| {
        let expr = observe_promql::parse(&text)
            .map_err(|error| Failure::bad_data(format!("invalid parameter \"query\": {error}")))?;
        Ok::<_, Failure>(shown(&expr))
    };
    let data = api.queries.run(None, work).await??;
    Ok(success(&data, &Annotations::default()))
}
