//! Kubernetes' admission call: a review in, a review with an answer out. Source: `admission.k8s.io/v1`, AdmissionReview, and the API reference's page on
//! webhooks. Knows no HTTP and no certificate.

use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{InjectSettings, Outcome, inject, is_injected, json_patch};

/// The API server sends no object that etcd would not take (1.5 MiB), old and new one at most.
pub const BODY_BYTES_MAX: usize = 4 << 20;

/// What becomes of a pod that cannot be injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailurePolicy {
    /// It starts without telemetry, and whoever made it is warned.
    #[default]
    Ignore,
    /// It is refused.
    Fail,
}

/// How reviews are answered.
#[derive(Debug, Clone, Default)]
pub struct Admission {
    pub settings: InjectSettings,
    pub failure_policy: FailurePolicy,
    /// Nothing is changed; what would be is told as a warning.
    pub dry_run: bool,
}

/// A body that is no review.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    #[error("the body is no AdmissionReview of admission.k8s.io/v1: {0}")]
    Form(#[from] serde_json::Error),
    #[error("the body is `{kind}` of `{version}`, not AdmissionReview of admission.k8s.io/v1")]
    Kind { kind: String, version: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    api_version: String,
    kind: String,
    request: Request,
}

#[derive(Deserialize)]
struct Request {
    uid: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    object: Value,
}

/// The longest warning that every client shows.
const WARNING_CHARS_MAX: usize = 240;

/// Answers a review.
pub fn review(body: &[u8], admission: &Admission) -> Result<Value, ReviewError> {
    let review: Review = serde_json::from_slice(body)?;
    if review.kind != "AdmissionReview" || review.api_version != "admission.k8s.io/v1" {
        return Err(ReviewError::Kind { kind: review.kind, version: review.api_version });
    }
    let Request { uid, operation, object } = review.request;
    let mut response = json!({"uid": uid, "allowed": true});
    let warn = |response: &mut Value, text: String| {
        response["warnings"] = json!([text.chars().take(WARNING_CHARS_MAX).collect::<String>()]);
    };
    // A pod that exists can no longer get containers, and what was injected as a file stays as it is.
    let concerns = matches!(operation.as_str(), "" | "CREATE") && !is_injected(&object);
    match inject(&object, &admission.settings) {
        _ if !concerns => {}
        Ok(Outcome::Skipped(_)) => {}
        Ok(Outcome::Ops(ops)) if ops.is_empty() => {}
        Ok(Outcome::Ops(ops)) if admission.dry_run => {
            warn(&mut response, format!("apm would inject telemetry here: {} changes", ops.len()));
        }
        Ok(Outcome::Ops(ops)) => {
            let patch = base64::engine::general_purpose::STANDARD.encode(json_patch(&ops).to_string());
            response["patchType"] = json!("JSONPatch");
            response["patch"] = json!(patch);
        }
        Err(error) if admission.failure_policy == FailurePolicy::Fail && !admission.dry_run => {
            response["allowed"] = json!(false);
            response["status"] =
                json!({"code": 422, "reason": "Invalid", "message": format!("telemetry cannot be injected: {error}")});
        }
        Err(error) => warn(&mut response, format!("no telemetry injected: {error}")),
    }
    Ok(json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}))
}
