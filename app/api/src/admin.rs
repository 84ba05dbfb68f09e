//! `/-/…` and `/metrics`: what a supervisor, a scraper and an operator ask, in Prometheus's words.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::{Api, Control};

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .merge(looks())
        .route("/-/flush", post(flush))
        .route("/-/compact", post(compact))
        .route("/-/reload", post(reload).put(reload))
}

/// What changes nothing.
pub(crate) fn looks<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Arc<dyn Control>: FromRef<S>,
{
    Router::new()
        .route("/-/healthy", get(|| async { "apm is Healthy.\n" }))
        .route("/-/ready", get(ready))
        .route("/metrics", get(metrics))
}

async fn ready(State(control): State<Arc<dyn Control>>) -> Response {
    match control.ready() {
        Ok(()) => "apm is Ready.\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn flush(State(api): State<Api>) -> Response {
    done(api.control.flush().await)
}

async fn compact(State(api): State<Api>) -> Response {
    done(api.control.compact().await)
}

async fn reload(State(api): State<Api>) -> Response {
    done(api.control.reload().await)
}

fn done(result: Result<(), String>) -> Response {
    match result {
        Ok(()) => StatusCode::OK.into_response(),
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(control): State<Arc<dyn Control>>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, control.metrics_text()).into_response()
}
