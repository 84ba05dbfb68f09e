//! The connector's errors as failures of a plan: their class, a stable code, and what to do. It reads no answer of the engine itself.

use connect_docker::DockerError;
use operate_plan::{Class, Failure, ObjectId};

/// The same error for the executor and for people.
pub fn failure(error: &DockerError) -> Failure {
    let (class, code) = match error {
        DockerError::BadAddress { .. } => (Class::Invalid, "docker.address"),
        DockerError::NotReachable { .. } => (Class::Transient, "docker.unreachable"),
        DockerError::PermissionDenied { .. } => (Class::Permission, "docker.denied"),
        DockerError::Version { .. } => (Class::Invalid, "docker.version"),
        DockerError::NotFound { .. } => (Class::NotFound, "docker.not-found"),
        DockerError::ImageMissing { .. } => (Class::NotFound, "docker.image-missing"),
        DockerError::Conflict { .. } => (Class::Conflict, "docker.conflict"),
        DockerError::PortTaken { .. } => (Class::Conflict, "docker.port-taken"),
        DockerError::Unauthorized { .. } => (Class::Auth, "docker.unauthorized"),
        DockerError::NoSpace { .. } => (Class::Invalid, "docker.disk-full"),
        DockerError::Timeout { .. } => (Class::Transient, "docker.timeout"),
        DockerError::Throttled { .. } => (Class::Throttled, "docker.throttled"),
        DockerError::TooLarge { .. } | DockerError::Garbled { .. } => (Class::Unknown, "docker.garbled"),
        DockerError::Broken { .. } => (Class::Transient, "docker.broken"),
        DockerError::Invalid { .. } => (Class::Invalid, "docker.refused"),
        DockerError::Engine { .. } if error.is_transient() => (Class::Transient, "docker.failed"),
        DockerError::Engine { .. } => (Class::Unknown, "docker.failed"),
    };
    let next = error.hint().unwrap_or("look at the engine's own log: journalctl -u docker");
    let asked_ms = match error {
        DockerError::Throttled { retry_after: Some(wait), .. } => u64::try_from(wait.as_millis()).ok(),
        _ => None,
    };
    Failure::new(class, code, error.to_string(), next).retry_after_ms(asked_ms)
}

/// A kind or a verb that this target does not have: the planner's mistake.
pub(crate) fn foreign(verb: &str, object: &ObjectId) -> Failure {
    let message = format!("Docker cannot `{verb}` {object}");
    Failure::new(Class::Invalid, "docker.verb", message, "the plan was made for another target: plan again")
}

/// Something of that name that this run did not make.
pub(crate) fn not_ours(object: &ObjectId) -> Failure {
    let message = format!("{object} is there, and is not what this run made");
    Failure::new(
        Class::Conflict,
        "docker.not-ours",
        message,
        "somebody else made it meanwhile: look at it, then plan again",
    )
}
