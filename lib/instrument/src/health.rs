//! `/healthz` and `/readyz`: what this service depends on, asked now, each with a time limit.
//!
//! `/healthz` (liveness) is 200 as long as the process answers: restarting it does not mend a broken dependency.
//! `/readyz` (readiness) is 503 while a required dependency is down. It does not know what a dependency is.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

type Check = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// Something this service needs, and how to ask whether it is there.
#[derive(Clone)]
pub struct Dependency {
    name: String,
    required: bool,
    limit: Duration,
    check: Check,
}

impl std::fmt::Debug for Dependency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dependency").field("name", &self.name).field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Dependency {
    /// A required dependency with a limit of one second. `check` says why it is down, in words for an operator.
    pub fn new<F, Out>(name: impl Into<String>, check: F) -> Self
    where
        F: Fn() -> Out + Send + Sync + 'static,
        Out: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self {
            name: name.into(),
            required: true,
            limit: Duration::from_secs(1),
            check: Arc::new(move || Box::pin(check())),
        }
    }

    /// How long one check may take before the dependency counts as down.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The service works without it: shown, but no reason to be unready.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    async fn ask(&self) -> Value {
        let started = Instant::now();
        let asked = AssertUnwindSafe(async { (self.check)().await }).catch_unwind();
        let result = match tokio::time::timeout(self.limit, asked).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err("the check panicked".to_owned()),
            Err(_) => Err(format!("no answer within {} ms", self.limit.as_millis())),
        };
        let mut answer = json!({
            "name": self.name,
            "state": if result.is_ok() { "up" } else { "down" },
            "required": self.required,
            "latency_ms": (started.elapsed().as_secs_f64() * 1_000_000.0).round() / 1_000.0,
        });
        if let (Err(reason), Some(members)) = (result, answer.as_object_mut()) {
            members.insert("error".to_owned(), Value::from(reason));
        }
        answer
    }
}

/// The two endpoints. Checks run side by side, afresh for every request.
pub fn health_router(dependencies: Vec<Dependency>) -> Router {
    let dependencies: Arc<[Dependency]> = dependencies.into();
    let live = Arc::clone(&dependencies);
    Router::new()
        .route("/healthz", get(move || answer(Arc::clone(&live), false)))
        .route("/readyz", get(move || answer(Arc::clone(&dependencies), true)))
}

async fn answer(dependencies: Arc<[Dependency]>, readiness: bool) -> Response {
    let states = join_all(dependencies.iter().map(Dependency::ask)).await;
    let down = |required_only: bool| {
        states.iter().any(|state| state["state"] == "down" && (!required_only || state["required"] == true))
    };
    let (code, status) = match (readiness, down(true), down(false)) {
        (true, true, _) => (StatusCode::SERVICE_UNAVAILABLE, "unready"),
        (_, _, true) => (StatusCode::OK, "degraded"),
        _ => (StatusCode::OK, "ok"),
    };
    (code, axum::Json(json!({ "status": status, "dependencies": states }))).into_response()
}
