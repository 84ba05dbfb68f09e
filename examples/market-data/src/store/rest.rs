//! What the store answers the api: latest quotes through the cache, history from the database.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use tracing::field::Empty;

use super::Shared;
use super::cache::Quote;
use super::database::Point;
use crate::clock;
use crate::serving::{Refusal, refusal};

/// Points of a history unless asked otherwise, and at most.
const POINTS_DEFAULT: u32 = 50;
const POINTS_MAX: u32 = 500;

type Here = State<Arc<Shared>>;

pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/quotes", get(quotes))
        .route("/quotes/{symbol}", get(quote))
        .route("/history/{symbol}", get(history))
        .with_state(shared)
}

async fn quotes(State(shared): Here) -> Result<Json<Vec<Quote>>, Refusal> {
    simulated_error(&shared)?;
    shared.database.quotes().await.map(Json).map_err(broken)
}

async fn quote(State(shared): Here, Path(symbol): Path<String>) -> Result<Json<Quote>, Refusal> {
    simulated_error(&shared)?;
    let held = {
        let span = tracing::info_span!("cache get", cache.key = symbol, cache.hit = Empty);
        let _entered = span.enter();
        let held = shared.cache.lock().get(&symbol, clock::now_us());
        span.record("cache.hit", held.is_some());
        held
    };
    if let Some(quote) = held {
        shared.instruments.cache_hits.add(1, &[]);
        return Ok(Json(quote));
    }
    shared.instruments.cache_misses.add(1, &[]);
    let Some(quote) = shared.database.quote(&symbol).await.map_err(broken)? else {
        return Err(unknown(&symbol));
    };
    if shared.cache.lock().put(quote.clone(), clock::now_us()) {
        shared.instruments.cache_evictions.add(1, &[]);
    }
    Ok(Json(quote))
}

#[derive(Deserialize)]
struct Range {
    limit: Option<u32>,
}

async fn history(
    State(shared): Here,
    Path(symbol): Path<String>,
    Query(range): Query<Range>,
) -> Result<Json<Vec<Point>>, Refusal> {
    simulated_error(&shared)?;
    let limit = range.limit.unwrap_or(POINTS_DEFAULT).clamp(1, POINTS_MAX);
    let points = shared.database.history(&symbol, limit).await.map_err(broken)?;
    if points.is_empty() {
        return Err(unknown(&symbol));
    }
    tracing::info!(symbol, points = points.len(), "history read");
    Ok(Json(points))
}

fn simulated_error(shared: &Shared) -> Result<(), Refusal> {
    let ratio = shared.switch.get().error_ratio;
    if ratio > 0.0 && shared.chance.lock().unit() < ratio {
        let error = std::io::Error::other("disk I/O error (simulated by the fault switch)");
        tracing::error!(error = %error, "the store cannot read");
        return Err(refusal(StatusCode::INTERNAL_SERVER_ERROR, "the store cannot read its data"));
    }
    Ok(())
}

fn broken(error: sqlx::Error) -> Refusal {
    // The database has logged it; the caller learns no more than it needs.
    match error {
        sqlx::Error::PoolTimedOut => refusal(StatusCode::SERVICE_UNAVAILABLE, "the store's database is busy"),
        _ => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the store's database failed"),
    }
}

fn unknown(symbol: &str) -> Refusal {
    tracing::warn!(symbol, "no data for this symbol");
    refusal(StatusCode::NOT_FOUND, format!("no data for `{symbol}`"))
}
