//! What every role's HTTP server has in common: health, metrics, the instrument layer, drain on shutdown.

use std::future::Future;
use std::time::Duration;

use axum::http::StatusCode;
use axum::{Json, Router};
use lib_instrument::{Dependency, Telemetry, health_router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::Error;

/// Requests under way get this long to finish.
const DRAIN_MAX: Duration = Duration::from_secs(3);
/// An answer that takes longer counts as no answer.
pub(crate) const CLIENT_TIMEOUT: Duration = Duration::from_secs(2);

/// What a handler answers when it cannot answer what was asked.
pub(crate) type Refusal = (StatusCode, Json<Value>);

pub(crate) fn refusal(status: StatusCode, message: impl Into<String>) -> Refusal {
    let mut body = json!({ "error": message.into() });
    if let (Some(id), Some(members)) = (lib_instrument::current_trace_id(), body.as_object_mut()) {
        members.insert("trace_id".to_owned(), Value::from(id));
    }
    (status, Json(body))
}

pub(crate) fn bad_request(message: String) -> Refusal {
    refusal(StatusCode::BAD_REQUEST, message)
}

/// Tells every task of a role that it is time to end.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Completes when the role is asked to end.
    pub(crate) async fn asked(&mut self) {
        // An error means that the sender is gone: the role has ended already.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Waits, unless the role ends first: then `false`.
    pub(crate) async fn sleep(&mut self, time: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(time) => true,
            () = self.asked() => false,
        }
    }
}

/// A [`Stop`] that fires when `shutdown` completes.
pub(crate) fn stop_when(shutdown: impl Future<Output = ()> + Send + 'static) -> Stop {
    let (tell, told) = watch::channel(false);
    tokio::spawn(async move {
        shutdown.await;
        let _ = tell.send(true);
        // Kept until the last receiver is gone, so that a late `asked` still sees `true`.
        tell.closed().await;
    });
    Stop(told)
}

/// Serves `routes` with health and metrics beside them until told to stop, then drains.
pub(crate) async fn serve(
    listener: TcpListener,
    telemetry: &Telemetry,
    dependencies: Vec<Dependency>,
    routes: Router,
    stop: Stop,
) -> Result<(), Error> {
    let mut app = health_router(dependencies);
    if let Some(metrics) = telemetry.metrics_router() {
        app = app.merge(metrics);
    }
    let app = app.merge(routes.layer(telemetry.http_layer()));
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
    let (mut told, mut overdue) = (stop.clone(), stop);
    let serving = axum::serve(listener, app).with_graceful_shutdown(async move { told.asked().await });
    tokio::select! {
        result = async { serving.await } => result?,
        () = async { overdue.asked().await; tokio::time::sleep(DRAIN_MAX).await } => {
            tracing::warn!(limit_s = DRAIN_MAX.as_secs(), "requests were still under way; they are cut off");
        }
    }
    tracing::info!("stopped");
    Ok(())
}

/// An HTTP client for peers on this machine.
pub(crate) fn client() -> Result<reqwest::Client, Error> {
    reqwest::Client::builder()
        // Peers are on loopback; a proxy named in the environment cannot reach them.
        .no_proxy()
        // And speak no TLS: an image without certificates of authorities will do.
        .tls_certs_only([])
        .timeout(CLIENT_TIMEOUT)
        .build()
        .map_err(|error| Error::Client(error.to_string()))
}

/// Whether a peer's `/healthz` answers.
pub(crate) fn peer(name: &str, base_url: &str, client: &reqwest::Client) -> Dependency {
    let (url, client) = (format!("{base_url}/healthz"), client.clone());
    Dependency::new(name, move || {
        let request = client.get(&url);
        async move {
            match request.send().await {
                Ok(answer) if answer.status().is_success() => Ok(()),
                Ok(answer) => Err(format!("answered {}", answer.status())),
                Err(error) => Err(error.to_string()),
            }
        }
    })
}
