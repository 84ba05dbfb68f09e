//! A client of the control socket. A connection for each call: a front may have been started anew in between.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::{Drain, Drained, Refused};
use crate::model::{Set, State, Upstream, UpstreamStatus};

const ANSWER_BYTES_MAX: usize = 4 << 20;
/// For all but drains, which say themselves how long they take.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("no front answers on {}", path.display())]
    Unreachable { path: PathBuf, source: std::io::Error },
    #[error("the front on {} broke off: {why}", path.display())]
    Broken { path: PathBuf, why: String },
    /// Someone else has switched since: read again, decide again.
    #[error("{reason}")]
    Stale { generation: u64, reason: String },
    #[error("the front refuses ({kind}): {reason}")]
    Refused { kind: String, reason: String },
}

impl ControlError {
    pub fn is_unreachable(&self) -> bool {
        matches!(self, ControlError::Unreachable { .. })
    }

    pub fn is_stale(&self) -> bool {
        matches!(self, ControlError::Stale { .. })
    }
}

/// Speaks to the front behind one control socket.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Client { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in force.
    pub async fn get(&self) -> Result<State, ControlError> {
        self.json(Method::GET, "/v1/state", &(), TIMEOUT).await
    }

    pub async fn health(&self) -> Result<Vec<UpstreamStatus>, ControlError> {
        self.json(Method::GET, "/v1/health", &(), TIMEOUT).await
    }

    /// Switches; `Stale` unless `generation` is the one in force. Durable and in force on return.
    pub async fn set(&self, generation: u64, upstreams: Vec<Upstream>) -> Result<State, ControlError> {
        self.json(Method::PUT, "/v1/upstreams", &Set { generation, upstreams }, TIMEOUT).await
    }

    /// Takes an upstream out, or waits for one that left the set, until nothing is in flight or the time is over.
    pub async fn drain(&self, drain: &Drain) -> Result<Drained, ControlError> {
        let timeout = Duration::from_millis(drain.timeout_ms).saturating_add(TIMEOUT);
        self.json(Method::POST, "/v1/drain", drain, timeout).await
    }

    /// Tells it to end, as SIGTERM does. It may still answer for a while.
    pub async fn stop(&self) -> Result<State, ControlError> {
        self.json(Method::POST, "/v1/stop", &(), TIMEOUT).await
    }

    /// In Prometheus's text format.
    pub async fn metrics(&self) -> Result<String, ControlError> {
        let (_, bytes) = self.ask(Method::GET, "/metrics", Bytes::new(), TIMEOUT).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        timeout: Duration,
    ) -> Result<T, ControlError> {
        let body = if method == Method::GET { Vec::new() } else { serde_json::to_vec(body).unwrap_or_default() };
        let (status, bytes) = self.ask(method, path, body.into(), timeout).await?;
        if (200..300).contains(&status) {
            return serde_json::from_slice(&bytes).map_err(|error| self.broken(error));
        }
        let refused: Refused = serde_json::from_slice(&bytes).map_err(|error| self.broken(error))?;
        Err(match refused.error.as_str() {
            "stale" => ControlError::Stale { generation: refused.generation, reason: refused.reason },
            _ => ControlError::Refused { kind: refused.error, reason: refused.reason },
        })
    }

    fn broken(&self, why: impl std::fmt::Display) -> ControlError {
        ControlError::Broken { path: self.path.clone(), why: why.to_string() }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<(u16, Bytes), ControlError> {
        let asked = async {
            let unreachable = |source| ControlError::Unreachable { path: self.path.clone(), source };
            let stream = UnixStream::connect(&self.path).await.map_err(unreachable)?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| self.broken(e))?;
            let connection = tokio::spawn(connection);
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("host", "front")
                .header("content-type", "application/json")
                .body(Full::new(body))
                .map_err(|error| self.broken(error))?;
            let response = sender.send_request(request).await.map_err(|error| self.broken(error))?;
            let status = response.status().as_u16();
            let whole = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            connection.abort();
            Ok((status, whole.map_err(|error| self.broken(error))?.to_bytes()))
        };
        tokio::time::timeout(timeout, asked)
            .await
            .unwrap_or_else(|_| Err(self.broken(format!("no answer within {} ms", timeout.as_millis()))))
    }
}
