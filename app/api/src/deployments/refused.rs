//! Why a request about deployments is not answered as it was meant: a stable code, a sentence, its causes and what to do. It does not know who
//! refuses.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base_explain::Report;
use serde_json::json;

/// What kind of refusal it is; each has its HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedKind {
    /// The request itself is wrong: 400.
    Invalid,
    /// It came from where nothing may be asked: 403.
    Forbidden,
    /// There is no such run: 404.
    Unknown,
    /// Where the run or its target stands does not allow it now: 409.
    Conflict,
    /// Understood, and not possible as asked: 422.
    Refused,
    /// Not now; the same request may work later: 503.
    Away,
}

/// A request that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("[{code}] {report}")]
pub struct Refused {
    pub kind: RefusedKind,
    /// A stable word: `no-run`, `target-busy`.
    pub code: &'static str,
    pub report: Report,
}

impl Refused {
    pub fn new(kind: RefusedKind, code: &'static str, report: Report) -> Self {
        Refused { kind, code, report }
    }

    pub(crate) fn invalid(message: impl Into<String>, hint: &str) -> Self {
        Refused::new(RefusedKind::Invalid, "invalid-request", Report::new(message).hint(hint))
    }

    fn status(&self) -> StatusCode {
        match self.kind {
            RefusedKind::Invalid => StatusCode::BAD_REQUEST,
            RefusedKind::Forbidden => StatusCode::FORBIDDEN,
            RefusedKind::Unknown => StatusCode::NOT_FOUND,
            RefusedKind::Conflict => StatusCode::CONFLICT,
            RefusedKind::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            RefusedKind::Away => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// `{"error": {"code", "message", "causes"?, "hint"?}}`
pub(crate) fn body(code: &str, report: &Report) -> serde_json::Value {
    let mut error = json!({"code": code, "message": report.message});
    if !report.causes.is_empty() {
        error["causes"] = json!(report.causes);
    }
    if let Some(place) = &report.place {
        error["place"] = json!(place.to_string());
    }
    if let Some(hint) = &report.hint {
        error["hint"] = json!(hint);
    }
    json!({ "error": error })
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, axum::Json(body(self.code, &self.report))).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let name: HeaderName = header::RETRY_AFTER;
            response.headers_mut().insert(name, HeaderValue::from_static("2"));
        }
        response
    }
}
