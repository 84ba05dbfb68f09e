//! One request to a front and its answer: connect, send, class a refusal. It does not know which calls there are.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::{Front, FrontError, Result};

/// The state of 64 upstreams and as many that leave is far below.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Of a refusal, what is worth showing.
const REASON_LETTERS_MAX: usize = 1000;

pub(crate) struct Call {
    method: Method,
    path: &'static str,
    /// In words for errors: "set the upstreams".
    doing: &'static str,
    body: Option<Value>,
}

impl Call {
    pub(crate) fn get(path: &'static str, doing: &'static str) -> Call {
        Call { method: Method::GET, path, doing, body: None }
    }

    pub(crate) fn put(path: &'static str, doing: &'static str, body: Value) -> Call {
        Call { method: Method::PUT, path, doing, body: Some(body) }
    }

    pub(crate) fn post(path: &'static str, doing: &'static str, body: Value) -> Call {
        Call { method: Method::POST, path, doing, body: Some(body) }
    }
}

/// Every answer that is no 2xx.
#[derive(Deserialize)]
struct Refused {
    error: String,
    reason: String,
    generation: u64,
}

impl Front {
    pub(crate) async fn call<T: DeserializeOwned>(&self, call: Call, time: Duration) -> Result<T> {
        let doing = call.doing;
        let (status, bytes) = tokio::time::timeout(time, self.exchange(call)).await.unwrap_or_else(|_| {
            let after_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            Err(FrontError::Timeout { path: self.path.clone(), doing, after_ms })
        })?;
        let garbled = |error: serde_json::Error| {
            let reason = format!("status {status}, {error}");
            FrontError::Garbled { path: self.path.clone(), doing, reason }
        };
        if (200..300).contains(&status) {
            return serde_json::from_slice(&bytes).map_err(garbled);
        }
        let refused: Refused = serde_json::from_slice(&bytes).map_err(garbled)?;
        let path = self.path.clone();
        let short = |text: String| text.chars().take(REASON_LETTERS_MAX).collect::<String>();
        Err(match refused.error.as_str() {
            "stale" => FrontError::Stale { path, generation: refused.generation },
            "disk" => FrontError::Disk { path, reason: short(refused.reason) },
            _ => FrontError::Refused { path, kind: short(refused.error), reason: short(refused.reason) },
        })
    }

    async fn exchange(&self, call: Call) -> Result<(u16, Bytes)> {
        let doing = call.doing;
        let broken = |reason: String| FrontError::Broken { path: self.path.clone(), doing, reason };
        let stream = UnixStream::connect(&self.path).await.map_err(|error| match error.kind() {
            // No file, or a file that a killed front left.
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                FrontError::NotRunning { path: self.path.clone(), reason: error.to_string() }
            }
            ErrorKind::PermissionDenied => FrontError::Denied { path: self.path.clone() },
            _ => broken(error.to_string()),
        })?;
        let told = |error: hyper::Error| broken(root_cause(&error));
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
        // Ends by itself with the answer, or when the sender is dropped.
        tokio::spawn(connection);
        let body = call.body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(call.method)
            .uri(call.path)
            .header("host", "front")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| broken(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(told)?;
        let status = response.status().as_u16();
        let whole = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return FrontError::TooLarge { path: self.path.clone(), doing, bytes_max: ANSWER_BYTES_MAX };
            }
            broken(error.to_string())
        })?;
        Ok((status, whole.to_bytes()))
    }
}

/// The innermost cause says what a person can act on.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
