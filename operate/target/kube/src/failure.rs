//! The connector's errors as failures of a plan: their class, a stable code, and what to do. It reads no answer of the API server itself.

use connect_kube::{Admission, KubeError};
use operate_plan::{Class, Failure, ObjectId};

/// The same error for the executor and for people.
pub(crate) fn failure(error: &KubeError) -> Failure {
    let (class, code) = match error {
        KubeError::Config { .. } => (Class::Invalid, "kube.config-file"),
        KubeError::NotReachable { .. } => (Class::Transient, "kube.unreachable"),
        KubeError::Login { .. } => (Class::Auth, "kube.login"),
        KubeError::Unauthorized { .. } => (Class::Auth, "kube.unauthorized"),
        KubeError::Permission { .. } => (Class::Permission, "kube.denied"),
        KubeError::NotFound { .. } => (Class::NotFound, "kube.not-found"),
        // A definition that was applied a moment ago is served a moment later.
        KubeError::NoSuchKind { .. } => (Class::Transient, "kube.no-such-kind"),
        KubeError::AlreadyExists { .. } => (Class::Conflict, "kube.exists"),
        KubeError::Conflict { fields, .. } if fields.is_empty() => (Class::Transient, "kube.changed"),
        KubeError::Conflict { .. } => (Class::Conflict, "kube.conflict"),
        KubeError::Invalid { .. } => (Class::Invalid, "kube.invalid"),
        KubeError::AdmissionRefused { by: Admission::WebhookSilent { .. }, .. } => (Class::Transient, "kube.webhook"),
        KubeError::AdmissionRefused { .. } => (Class::Invalid, "kube.admission"),
        KubeError::QuotaExceeded { .. } => (Class::Conflict, "kube.quota"),
        KubeError::DisruptionBudget { .. } => (Class::Throttled, "kube.disruption-budget"),
        KubeError::Throttled { .. } => (Class::Throttled, "kube.throttled"),
        KubeError::Expired { .. } => (Class::Transient, "kube.expired"),
        KubeError::Timeout { .. } => (Class::Transient, "kube.timeout"),
        KubeError::Unready { .. } => (Class::Transient, "kube.unready-server"),
        KubeError::TooLarge { .. } | KubeError::Garbled { .. } => (Class::Unknown, "kube.garbled"),
        KubeError::Broken { .. } => (Class::Transient, "kube.broken"),
        KubeError::Refused { .. } => (Class::Invalid, "kube.refused"),
    };
    let next = error.hint().unwrap_or_else(|| "look at the object: kubectl describe".to_owned());
    let asked_ms = error.retry_after().and_then(|wait| u64::try_from(wait.as_millis()).ok());
    Failure::new(class, code, error.to_string(), next).retry_after_ms(asked_ms)
}

/// A kind or a verb that this target does not have: the planner's mistake.
pub(crate) fn foreign(verb: &str, object: &ObjectId) -> Failure {
    let message = format!("a cluster cannot `{verb}` {object}");
    Failure::new(Class::Invalid, "kube.verb", message, "the plan was made for another target: plan again")
}

/// Something of that name that this run did not make.
pub(crate) fn not_ours(object: &ObjectId) -> Failure {
    let message = format!("{object} is there, and is not what this run made");
    let next = "somebody else made it meanwhile: look at it, then plan again";
    Failure::new(Class::Conflict, "kube.not-ours", message, next)
}
