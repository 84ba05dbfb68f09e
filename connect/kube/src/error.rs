//! What can go wrong, in classes a caller can act on, each with the API server's own words. It holds no token, no key and no data of a Secret.

use std::fmt;
use std::time::Duration;

use base_http::body::BodyError;

/// What was asked about: "deployments.apps `web` in namespace `shop`".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// `deployments.apps`; or words for what is no object: "the server's version".
    pub resource: String,
    /// Empty for the whole cluster.
    pub namespace: String,
    /// Empty for all of them.
    pub name: String,
}

impl Target {
    pub(crate) fn words(words: &str) -> Self {
        Self { resource: words.to_owned(), ..Self::default() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.resource)?;
        if !self.name.is_empty() {
            write!(to, " `{}`", self.name)?;
        }
        if !self.namespace.is_empty() {
            write!(to, " in namespace `{}`", self.namespace)?;
        }
        Ok(())
    }
}

/// The API server's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Of HTTP, or of the `Status` inside of a stream that had begun with 200.
    pub status: u16,
    /// `Forbidden`, `Invalid`, `Expired` …; empty when the answer was no `Status` of Kubernetes.
    pub reason: String,
    pub message: String,
}

impl fmt::Display for Said {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} (status {})", self.message, self.status)
    }
}

/// One field that is not as it must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// `spec.template.spec.containers[0].image`; empty for the object as a whole.
    pub field: String,
    /// `FieldValueRequired`, `FieldValueInvalid` …
    pub reason: String,
    pub message: String,
}

/// A field that another manager owns with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldConflict {
    /// `kubectl-edit`, `argocd-controller` …
    pub manager: String,
    /// `.spec.replicas`
    pub field: String,
}

/// What the authorizer refused, as far as it said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Denied {
    pub user: String,
    /// get, list, watch, create, patch, delete …
    pub verb: String,
    /// `pods`, `deployments.apps`, `pods/log`
    pub resource: String,
    /// Empty: in the whole cluster.
    pub namespace: String,
}

impl fmt::Display for Denied {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "`{}` may not {} {}", self.user, self.verb, self.resource)?;
        if self.namespace.is_empty() {
            to.write_str(" in the cluster")
        } else {
            write!(to, " in namespace `{}`", self.namespace)
        }
    }
}

/// Who refused an object that its sender may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    Webhook {
        name: String,
    },
    /// The webhook gave no answer, and its failure policy is to refuse.
    WebhookSilent {
        name: String,
    },
    /// A ValidatingAdmissionPolicy and the binding that put it to work.
    Policy {
        name: String,
        binding: String,
    },
    /// The namespace's pod security level.
    PodSecurity {
        level: String,
    },
    /// The namespace is being deleted.
    NamespaceEnding,
    /// LimitRanger, ServiceAccount …: the words tell.
    Other,
}

impl fmt::Display for Admission {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook { name } => write!(to, "the admission webhook `{name}`"),
            Self::WebhookSilent { name } => write!(to, "admission: its webhook `{name}` does not answer"),
            Self::Policy { name, .. } => write!(to, "the admission policy `{name}`"),
            Self::PodSecurity { level } => write!(to, "pod security level `{level}`"),
            Self::NamespaceEnding => to.write_str("admission: the namespace is being deleted"),
            Self::Other => to.write_str("admission"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KubeError {
    /// `place` is `FILE:LINE:COLUMN` or `FILE`.
    #[error("{}{problem}", place.as_deref().map(|place| format!("{place}: ")).unwrap_or_default())]
    Config { place: Option<String>, problem: String },
    #[error("no Kubernetes API server answers at {server} (from {found_by}): {reason}")]
    NotReachable { server: String, found_by: String, reason: String },
    #[error("no login to {server} (from {found_by}): {problem}")]
    Login { server: String, found_by: String, problem: String, install_hint: Option<String> },
    #[error("{server} does not accept the login of {found_by}: {said}")]
    Unauthorized { server: String, found_by: String, said: Said },
    #[error("permission denied: {denied}: {said}")]
    Permission { target: Target, denied: Denied, said: Said },
    #[error("{target} is not there: {said}")]
    NotFound { target: Target, said: Said },
    /// Also for some seconds after a CustomResourceDefinition was made.
    #[error("the server knows no {}: {said}", target.resource)]
    NoSuchKind { target: Target, said: Said },
    #[error("{target} is there already: {said}")]
    AlreadyExists { target: Target, said: Said },
    /// `fields` is empty when the object changed meanwhile: another resourceVersion, another uid.
    #[error("{target} is {}: {said}", if fields.is_empty() { "not what it was" } else { "also managed by others" })]
    Conflict { target: Target, fields: Vec<FieldConflict>, said: Said },
    #[error("{target} is invalid: {said}")]
    Invalid { target: Target, causes: Vec<Cause>, said: Said },
    #[error("{target} is refused by {by}: {said}")]
    AdmissionRefused { target: Target, by: Admission, said: Said },
    #[error("{target} exceeds the quota `{quota}`: {said}")]
    QuotaExceeded { target: Target, quota: String, said: Said },
    /// An eviction that a PodDisruptionBudget does not allow now.
    #[error("{target} may not be evicted now: {said}")]
    DisruptionBudget { target: Target, retry_after: Option<Duration>, said: Said },
    #[error("{target}: the server asks to wait: {said}")]
    Throttled { target: Target, retry_after: Option<Duration>, said: Said },
    /// The resourceVersion or the page is older than what the server keeps.
    #[error("{target}: too old: {said}")]
    Expired { target: Target, said: Said },
    #[error("{doing}: no end within {after_ms} ms")]
    Timeout { doing: String, after_ms: u64 },
    /// The server, or what it stands on, cannot just now.
    #[error("{target}: the server cannot just now: {said}")]
    Unready { target: Target, retry_after: Option<Duration>, said: Said },
    #[error("{doing}: the answer has more than {limit_bytes} bytes")]
    TooLarge { doing: String, limit_bytes: usize },
    #[error("{doing}: the answer cannot be read: {reason}")]
    Garbled { doing: String, reason: String },
    #[error("{doing}: the connection broke: {reason}")]
    Broken { doing: String, reason: String },
    #[error("{target}: refused: {said}")]
    Refused { target: Target, said: Said },
}

impl From<BodyError> for KubeError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Timeout { doing, after_ms } => Self::Timeout { doing, after_ms },
            BodyError::TooLarge { doing, limit_bytes } => Self::TooLarge { doing, limit_bytes },
            BodyError::Broken { doing, reason } => Self::Broken { doing, reason },
        }
    }
}

impl KubeError {
    /// The server's own words, where it said any.
    pub fn said(&self) -> Option<&Said> {
        match self {
            Self::Unauthorized { said, .. }
            | Self::Permission { said, .. }
            | Self::NotFound { said, .. }
            | Self::NoSuchKind { said, .. }
            | Self::AlreadyExists { said, .. }
            | Self::Conflict { said, .. }
            | Self::Invalid { said, .. }
            | Self::AdmissionRefused { said, .. }
            | Self::QuotaExceeded { said, .. }
            | Self::DisruptionBudget { said, .. }
            | Self::Throttled { said, .. }
            | Self::Expired { said, .. }
            | Self::Unready { said, .. }
            | Self::Refused { said, .. } => Some(said),
            _ => None,
        }
    }

    /// The HTTP status, where there was one.
    pub fn status(&self) -> Option<u16> {
        self.said().map(|said| said.status)
    }

    /// The object is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// The same call may succeed later with nothing changed by anyone.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotReachable { .. }
            | Self::Timeout { .. }
            | Self::Broken { .. }
            | Self::Throttled { .. }
            | Self::DisruptionBudget { .. }
            | Self::Unready { .. } => true,
            Self::AdmissionRefused { by, .. } => matches!(by, Admission::WebhookSilent { .. }),
            _ => false,
        }
    }

    /// The call was sent and its outcome is not known: it may have been done.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Broken { .. } | Self::TooLarge { .. } | Self::Garbled { .. } => true,
            Self::Unready { said, .. } => matches!(said.status, 500 | 502 | 504),
            _ => false,
        }
    }

    /// How long the server asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. }
            | Self::Unready { retry_after, .. }
            | Self::DisruptionBudget { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Config { .. } => "`kubectl config view` shows the configuration as kubectl reads it",
            Self::NotReachable { reason, .. } if reason.contains("certificate") || reason.contains("UnknownIssuer") => {
                "the server's certificate is not signed by the authority of the kubeconfig: compare `certificate-authority` and `tls-server-name`"
            }
            Self::NotReachable { .. } => {
                "does `kubectl version` reach it? check the context, the network, a VPN or a proxy in between"
            }
            Self::Login { install_hint: Some(hint), .. } => return Some(hint.clone()),
            Self::Login { .. } => "run the kubeconfig's login program by hand: it may want you to log in first",
            Self::Unauthorized { .. } => {
                "the login has ended or is another cluster's: log in again, then try `kubectl auth whoami`"
            }
            Self::Permission { denied, .. } => {
                return Some(format!(
                    "ask for a role that allows it; `kubectl auth can-i {} {}{}` shows whether it does",
                    denied.verb,
                    denied.resource,
                    if denied.namespace.is_empty() { String::new() } else { format!(" -n {}", denied.namespace) }
                ));
            }
            Self::NoSuchKind { .. } => {
                "is its CustomResourceDefinition installed, in this version? `kubectl api-resources` lists what there is"
            }
            Self::Conflict { fields, .. } if !fields.is_empty() => {
                "agree with the other manager, leave the field out, or take it over by force"
            }
            Self::AdmissionRefused { by: Admission::WebhookSilent { .. }, .. } => {
                "look after the webhook's service: until it answers, nothing it watches can be written"
            }
            Self::AdmissionRefused { by: Admission::PodSecurity { .. }, .. } => {
                "give the pods the security context that it names, or have the level of the namespace changed"
            }
            Self::AdmissionRefused { by: Admission::NamespaceEnding, .. } => "wait until it is gone, or take another",
            Self::AdmissionRefused { .. } => "its words say what it wants: change the object, or ask who owns it",
            Self::QuotaExceeded { .. } => "ask for less, remove what is not needed, or have the ResourceQuota raised",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
