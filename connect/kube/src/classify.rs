//! From a refusal of the API server to its class. The shape is `metav1.Status`
//! (<https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.36/#status-v1-meta>); where its reason says too little, the server's sentences
//! decide, which have been the same for years: a quota, a policy and a missing right are all `Forbidden`. It knows no call.

use std::time::Duration;

use serde::Deserialize;

use crate::{Admission, Cause, Denied, FieldConflict, KubeError, Said, Target};

/// Of a message, what is worth showing: an invalid object may be quoted whole.
const MESSAGE_LETTERS_MAX: usize = 4000;
const CAUSES_MAX: usize = 500;
/// Among the values to hide: also what the server quotes of the object is hidden.
pub(crate) const QUOTED: &str = "";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    kind: String,
    message: Option<String>,
    reason: Option<String>,
    details: Option<Details>,
    code: Option<u16>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    name: Option<String>,
    causes: Option<Vec<StatusCause>>,
    retry_after_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StatusCause {
    reason: Option<String>,
    message: Option<String>,
    field: Option<String>,
}

impl Status {
    /// What the server answered, or what it was when it was no `Status`: a proxy's page, nothing at all.
    pub(crate) fn read(bytes: &[u8], http: u16) -> Self {
        match serde_json::from_slice::<Self>(bytes) {
            Ok(status) if status.kind == "Status" => status,
            _ => {
                let text = String::from_utf8_lossy(bytes);
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let message = if text.is_empty() { "without a word".to_owned() } else { text };
                Self { message: Some(message), code: Some(http), ..Self::default() }
            }
        }
    }
}

/// Who answered, for refusals that concern the login and no object.
pub(crate) struct Asked<'a> {
    pub(crate) server: &'a str,
    pub(crate) found_by: &'a str,
    pub(crate) target: Target,
    /// Values that must not be shown: those of the Secret that was sent.
    pub(crate) hide: &'a [String],
}

/// `http`: the status of the answer; inside of a stream 200, and the `Status` says its own.
pub(crate) fn classify(asked: Asked<'_>, status: Status, http: u16, retry_after: Option<Duration>) -> KubeError {
    let Asked { server, found_by, target, hide } = asked;
    let clean = |text: &str| hidden(text, hide).chars().take(MESSAGE_LETTERS_MAX).collect::<String>();
    let details = status.details.unwrap_or_default();
    let retry_after =
        retry_after.or_else(|| details.retry_after_seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs));
    let said = Said {
        status: if http >= 300 { http } else { status.code.unwrap_or(http) },
        reason: status.reason.unwrap_or_default(),
        message: clean(&status.message.unwrap_or_default()),
    };
    let causes = details.causes.unwrap_or_default();
    let has_cause = |reason: &str| causes.iter().any(|cause| cause.reason.as_deref() == Some(reason));

    // Admission first: a webhook chooses its own status.
    if let Some(by) = admission(&said.message) {
        return KubeError::AdmissionRefused { target, by, said };
    }
    if has_cause("NamespaceTerminating") {
        return KubeError::AdmissionRefused { target, by: Admission::NamespaceEnding, said };
    }
    if let Some(quota) = quota(&said.message) {
        return KubeError::QuotaExceeded { target, quota, said };
    }
    if let Some(causes) = untyped(&said.message) {
        return KubeError::Invalid { target, causes, said };
    }
    match (said.status, said.reason.as_str()) {
        (401, _) => KubeError::Unauthorized { server: server.into(), found_by: found_by.into(), said },
        (403, _) => match denied(&said.message) {
            Some(denied) => KubeError::Permission { target, denied, said },
            None if said.reason.is_empty() => KubeError::Refused { target, said },
            None => KubeError::AdmissionRefused { target, by: Admission::Other, said },
        },
        // A kind that is not there has neither name nor kind in its details.
        (404, _) if details.name.as_deref().unwrap_or_default().is_empty() && !target.resource.contains(' ') => {
            KubeError::NoSuchKind { target, said }
        }
        (404, _) => KubeError::NotFound { target, said },
        (409, "AlreadyExists") => KubeError::AlreadyExists { target, said },
        (409, _) => KubeError::Conflict { target, fields: conflicts(&causes), said },
        (410, _) | (_, "Expired" | "Gone") => KubeError::Expired { target, said },
        // A watch from a version the server has not reached yet: it was restored from a backup, or is another one.
        (504, _) if has_cause("ResourceVersionTooLarge") => KubeError::Expired { target, said },
        (400 | 413 | 422, _) => {
            let cause = |cause: StatusCause| Cause {
                field: cause.field.unwrap_or_default(),
                reason: cause.reason.unwrap_or_default(),
                message: clean(&cause.message.unwrap_or_default()),
            };
            KubeError::Invalid { target, causes: causes.into_iter().take(CAUSES_MAX).map(cause).collect(), said }
        }
        (429, _) if has_cause("DisruptionBudget") => KubeError::DisruptionBudget { target, retry_after, said },
        (429, _) => KubeError::Throttled { target, retry_after, said },
        (500..=599, _) => KubeError::Unready { target, retry_after, said },
        _ => KubeError::Refused { target, said },
    }
}

/// What server-side apply answers with a 500, although the object is at fault: fields that the server does not know, twins in a list. One line
/// ` .spec.template.spec.x: field not declared in schema` each.
fn untyped(message: &str) -> Option<Vec<Cause>> {
    let (_, rest) = after(message, "failed to create typed patch object")?.split_once("): ")?;
    let causes: Vec<Cause> = rest
        .lines()
        .filter_map(|line| line.trim().strip_prefix('.')?.split_once(": "))
        .take(CAUSES_MAX)
        .map(|(field, message)| Cause {
            field: field.into(),
            reason: "FieldValueInvalid".into(),
            message: message.into(),
        })
        .collect();
    Some(causes)
}

/// The text without the values of a Secret. What stands after "got" or "Invalid value" quotes what was sent, in a form that may differ from it.
fn hidden(text: &str, hide: &[String]) -> String {
    let mut out = text.to_owned();
    for value in hide.iter().filter(|value| value.len() > 2) {
        out = out.replace(value.as_str(), "[secret]");
    }
    if !hide.iter().any(|value| value == QUOTED) {
        return out;
    }
    for quote in [", got ", "Invalid value: ", "Unsupported value: ", "Duplicate value: "] {
        if let Some(at) = out.find(quote) {
            out.truncate(at + quote.len());
            out.push_str("[secret]");
        }
    }
    out
}

fn admission(message: &str) -> Option<Admission> {
    if let Some(rest) = after(message, "failed calling webhook ") {
        return Some(Admission::WebhookSilent { name: quoted(rest)? });
    }
    if let Some(rest) = after(message, "admission webhook ").filter(|rest| rest.contains(" denied the request")) {
        return Some(Admission::Webhook { name: quoted(rest)? });
    }
    if let Some(rest) = after(message, "ValidatingAdmissionPolicy ") {
        let (name, rest) = rest.strip_prefix('\'')?.split_once('\'')?;
        let binding =
            rest.strip_prefix(" with binding '").and_then(|rest| rest.split_once('\'')).map(|(binding, _)| binding);
        return Some(Admission::Policy { name: name.into(), binding: binding.unwrap_or_default().into() });
    }
    let level = quoted(after(message, "violates PodSecurity ")?)?;
    Some(Admission::PodSecurity { level })
}

/// `… exceeded quota: NAME, requested: …`, `… failed quota: NAME: must specify …`
fn quota(message: &str) -> Option<String> {
    let rest = after(message, "exceeded quota: ").or_else(|| after(message, "failed quota: "))?;
    Some(rest.split([',', ':']).next()?.trim().to_owned())
}

/// `pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "default"`
fn denied(message: &str) -> Option<Denied> {
    let rest = after(message, "User ")?;
    let user = quoted(rest)?;
    let (verb, rest) = after(rest, "\" cannot ")?.split_once(' ')?;
    let mut denied = Denied { user, verb: verb.into(), ..Denied::default() };
    if let Some(rest) = rest.strip_prefix("path ") {
        denied.resource = quoted(rest)?;
        return Some(denied);
    }
    let resource = quoted(rest.strip_prefix("resource ")?)?;
    let group = after(rest, "in API group ").and_then(quoted).unwrap_or_default();
    denied.resource = match resource.split_once('/') {
        _ if group.is_empty() => resource,
        Some((resource, below)) => format!("{resource}.{group}/{below}"),
        None => format!("{resource}.{group}"),
    };
    denied.namespace = after(rest, "in the namespace ").and_then(quoted).unwrap_or_default();
    Some(denied)
}

/// `conflict with "kubectl-edit" using apps/v1`
fn conflicts(causes: &[StatusCause]) -> Vec<FieldConflict> {
    let conflicts =
        causes.iter().filter(|cause| cause.reason.as_deref() == Some("FieldManagerConflict")).take(CAUSES_MAX);
    let conflict = |cause: &StatusCause| FieldConflict {
        manager: cause
            .message
            .as_deref()
            .and_then(|message| quoted(after(message, "conflict with ")?))
            .unwrap_or_default(),
        field: cause.field.clone().unwrap_or_default(),
    };
    conflicts.map(conflict).collect()
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    Some(text.split_once(mark)?.1)
}

/// `"name" and more`
fn quoted(text: &str) -> Option<String> {
    Some(text.strip_prefix('"')?.split_once('"')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The class and what was read out of the server's words, which are those of Kubernetes 1.36.
    fn check(http: u16, status: Value, expect: &str) {
        let target = Target { resource: "pods".into(), namespace: "shop".into(), name: "web".into() };
        let asked =
            Asked { server: "https://c", found_by: "the test", target, hide: &["hunter2".into(), QUOTED.into()] };
        let error = classify(asked, Status::read(status.to_string().as_bytes(), http), http, None);
        let found = match &error {
            KubeError::Permission { denied, .. } => format!("permission: {denied}"),
            KubeError::Conflict { fields, .. } => {
                let fields = fields.iter().map(|field| format!(" {}@{}", field.field, field.manager));
                format!("conflict:{}", fields.collect::<String>())
            }
            KubeError::Invalid { causes, .. } => {
                let causes = causes.iter().map(|cause| format!(" {} {};", cause.field, cause.message));
                format!("invalid:{}", causes.collect::<String>())
            }
            KubeError::AdmissionRefused { by, .. } => format!("admission: {by:?}"),
            KubeError::QuotaExceeded { quota, .. } => format!("quota: {quota}"),
            KubeError::Throttled { retry_after, .. } => format!("throttled: {retry_after:?}"),
            KubeError::DisruptionBudget { .. } => "disruption budget".into(),
            KubeError::NotFound { .. } => "not found".into(),
            KubeError::NoSuchKind { .. } => "no such kind".into(),
            KubeError::AlreadyExists { .. } => "there already".into(),
            KubeError::Expired { .. } => "expired".into(),
            KubeError::Unready { .. } => "unready".into(),
            KubeError::Unauthorized { .. } => "unauthorized".into(),
            KubeError::Refused { .. } => "refused".into(),
            other => format!("{other:?}"),
        };
        assert_eq!(found, expect, "{status}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }

    fn said(reason: &str, message: &str) -> Value {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "details": {"name": "web"}})
    }

    #[test]
    fn forbidden_is_many_things() {
        let check = |message: &str, expect: &str| check(403, said("Forbidden", message), expect);
        check(
            r#"pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "shop""#,
            "permission: `bob` may not list pods in namespace `shop`",
        );
        check(
            r#"deployments.apps "web" is forbidden: User "system:serviceaccount:a:b" cannot patch resource "deployments/scale" in API group "apps" at the cluster scope"#,
            "permission: `system:serviceaccount:a:b` may not patch deployments.apps/scale in the cluster",
        );
        check(
            r#"forbidden: User "bob" cannot get path "/openapi/v3""#,
            "permission: `bob` may not get /openapi/v3 in the cluster",
        );
        check(
            r#"pods "web" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"#,
            "quota: small",
        );
        check(r#"pods "web" is forbidden: failed quota: small: must specify limits.cpu for: c"#, "quota: small");
        check(
            r#"pods "web" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true"#,
            r#"admission: PodSecurity { level: "restricted:latest" }"#,
        );
        check(
            r#"admission webhook "check.example.org" denied the request: no hunter2 here"#,
            r#"admission: Webhook { name: "check.example.org" }"#,
        );
        check("pods \"web\" is forbidden: maximum cpu usage per Container is 1, but limit is 2", "admission: Other");
    }

    #[test]
    fn recorded_answers_are_classed() {
        check(401, said("Unauthorized", "Unauthorized"), "unauthorized");
        check(404, said("NotFound", "pods \"web\" not found"), "not found");
        check(
            404,
            json!({"kind": "Status", "reason": "NotFound", "message": "the server could not find the requested resource", "details": {}}),
            "no such kind",
        );
        check(409, said("AlreadyExists", "pods \"web\" already exists"), "there already");
        check(
            409,
            said(
                "Conflict",
                "the object has been modified; please apply your changes to the latest version and try again",
            ),
            "conflict:",
        );
        let conflict = json!({"kind": "Status", "reason": "Conflict", "message": "Apply failed with 1 conflict", "details": {"causes": [
            {"reason": "FieldManagerConflict", "message": "conflict with \"kubectl-edit\" with subresource \"scale\" using apps/v1", "field": ".spec.replicas"}]}});
        check(409, conflict, "conflict: .spec.replicas@kubectl-edit");
        let invalid = json!({"kind": "Status", "reason": "Invalid", "message": "invalid", "details": {"name": "web", "causes": [
            {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.containers"}, {"message": "expected string, got &{hunter2}"}]}});
        check(422, invalid, "invalid: spec.containers Required value;  expected string, got [secret];");
        check(410, said("Expired", "too old resource version: 1 (2)"), "expired");
        let ahead = json!({"kind": "Status", "reason": "Timeout", "code": 504, "message": "Too large resource version: 9, current: 2", "details": {"causes": [{"reason": "ResourceVersionTooLarge"}]}});
        check(504, ahead, "expired");
        check(200, json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}), "expired");
        let budget = json!({"kind": "Status", "reason": "TooManyRequests", "message": "Cannot evict pod", "details": {"causes": [{"reason": "DisruptionBudget"}]}});
        check(429, budget, "disruption budget");
        check(
            429,
            json!({"kind": "Status", "message": "slow", "details": {"retryAfterSeconds": 7}}),
            "throttled: Some(7s)",
        );
        check(503, said("ServiceUnavailable", "the server is currently unable to handle the request"), "unready");
        check(500, said("InternalError", "etcdserver: leader changed"), "unready");
        let typed = "failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): ";
        let one = ".spec.template.spec.later: field not declared in schema";
        check(
            500,
            said("", &format!("{typed}{one}")),
            "invalid: spec.template.spec.later field not declared in schema;",
        );
        check(
            500,
            said("", &format!("{typed}errors:\n  {one}\n  .spec.x: expected numeric, got hunter2")),
            "invalid: spec.template.spec.later field not declared in schema; spec.x expected numeric, got [secret];",
        );
        check(
            500,
            said(
                "InternalError",
                "Internal error occurred: failed calling webhook \"w.example.org\": failed to call webhook: Post …",
            ),
            r#"admission: WebhookSilent { name: "w.example.org" }"#,
        );
        check(
            422,
            said(
                "Invalid",
                "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'few' with binding 'few-here' denied request: too many",
            ),
            r#"admission: Policy { name: "few", binding: "few-here" }"#,
        );
        check(403, json!("<html>a proxy's page</html>"), "refused");
        check(418, json!(null), "refused");
    }
}
