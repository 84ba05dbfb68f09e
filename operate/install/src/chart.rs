//! The chart's files, as they stand in `assets/charts/apm`. Knows no Helm and no value.

macro_rules! file {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../assets/charts/apm/", $path)))
    };
}

/// What makes objects. `templates/tokens.yaml` is Helm's alone: it asks the cluster, and chance.
pub(crate) const TEMPLATES: [(&str, &str); 3] =
    [file!("templates/engine.yaml"), file!("templates/collector.yaml"), file!("templates/inject.yaml")];

pub(crate) const NAMES: &str = file!("templates/_names.tpl").1;
pub(crate) const NOTES: &str = file!("templates/NOTES.txt").1;
pub(crate) const VALUES: &str = file!("values.yaml").1;

/// The rest of it.
pub(crate) const FILES: [(&str, &str); 5] = [
    file!("Chart.yaml"),
    file!("values.yaml"),
    file!("templates/_names.tpl"),
    file!("templates/tokens.yaml"),
    file!("templates/NOTES.txt"),
];

/// `appVersion`, which is the binary's.
pub(crate) const fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// A kind of which the chart makes objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChartKind {
    pub api_version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    /// Others are the whole cluster's.
    pub is_namespaced: bool,
}

const fn kind(api_version: &'static str, kind: &'static str, plural: &'static str) -> ChartKind {
    ChartKind { api_version, kind, plural, is_namespaced: true }
}

const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// All of them, those first that others refer to; what would ask a service that is not there yet comes last.
pub const KINDS: [ChartKind; 12] = [
    kind("v1", "ServiceAccount", "serviceaccounts"),
    ChartKind { is_namespaced: false, ..kind(RBAC, "ClusterRole", "clusterroles") },
    kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    kind("v1", "Secret", "secrets"),
    kind("v1", "ConfigMap", "configmaps"),
    ChartKind { is_namespaced: false, ..kind(RBAC, "ClusterRoleBinding", "clusterrolebindings") },
    kind("v1", "Service", "services"),
    kind("apps/v1", "StatefulSet", "statefulsets"),
    kind("apps/v1", "DaemonSet", "daemonsets"),
    kind("apps/v1", "Deployment", "deployments"),
    kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ChartKind {
        is_namespaced: false,
        ..kind("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations")
    },
];
