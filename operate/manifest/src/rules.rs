//! What servers demand and no schema says, kind by kind. Each rule is one that Kubernetes's own validation has; where it depends on switches of the server
//! the laxer side is taken, so that nothing is refused here that a server would take.

mod access;
mod cluster;
mod config;
mod container;
mod ingress;
mod later;
mod meta;
mod network;
mod pod;
mod probe;
mod resources;
mod scale;
mod selector;
mod service;
mod storage;
mod template;
mod volume;
mod words;
mod workload;

pub(crate) use later::IMAGES;
pub(crate) use meta::{Names, metadata};
pub(crate) use selector::selects;
pub(crate) use workload::LOOKS_INTO_PODS;

use crate::object::Object;
use crate::validate::{At, Out};

/// Where objects of a definition live.
pub(crate) fn scope(at: &At<'_>, out: &mut Out) {
    if words::wanted(at, "scope", out) {
        words::one_of(at, &["Namespaced", "Cluster"], out);
    }
}

pub(crate) fn check(object: &Object, out: &mut Out) {
    let root = At::root(&object.node);
    let (group, kind) = (object.identity.group(), object.identity.kind.as_str());
    metadata(&root, Names::of(group, kind, out.minor), out);
    let spec = root.get("spec");
    match (group, kind) {
        ("", "Pod") => pod::spec(&spec, &pod::Context::POD, out),
        ("", "PodTemplate") => template::pod_template(&root.get("template"), &pod::Context::POD, out),
        ("apps", "Deployment") => workload::deployment(&spec, out),
        ("apps", "ReplicaSet") => workload::replica_set(&spec, out),
        ("apps", "StatefulSet") => workload::stateful_set(&spec, out),
        ("apps", "DaemonSet") => workload::daemon_set(&spec, out),
        ("", "ReplicationController") => workload::replication_controller(&spec, out),
        ("batch", "Job") => template::lone_job(&root, out),
        ("batch", "CronJob") => template::cron_job(&root, out),
        ("", "Service") => service::service(&root, out),
        ("networking.k8s.io", "Ingress") => ingress::ingress(&root, out),
        ("networking.k8s.io", "NetworkPolicy") => network::policy(&spec, out),
        ("networking.k8s.io", "IngressClass") => ingress::class(&spec, out),
        ("", "Namespace") => meta::pod_security(&root, out),
        ("", "ConfigMap") => config::config_map(&root, out),
        ("", "Secret") => config::secret(&root, out),
        ("autoscaling", "HorizontalPodAutoscaler") => scale::autoscaler(&root, object.identity.version(), out),
        ("policy", "PodDisruptionBudget") => scale::disruption_budget(&spec, out),
        ("rbac.authorization.k8s.io", _) => access::check(kind, &root, out),
        ("", "PersistentVolumeClaim") => storage::claim(&spec, out),
        ("", "PersistentVolume") => storage::volume(&spec, out),
        ("storage.k8s.io", "StorageClass") => storage::class(&root, out),
        ("", "ResourceQuota") => resources::quota(&spec, out),
        ("", "LimitRange") => resources::limit_range(&spec, out),
        ("scheduling.k8s.io", "PriorityClass") => scale::priority_class(&root, out),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration") => {
            cluster::webhooks(&root, out)
        }
        ("node.k8s.io", "RuntimeClass") => cluster::runtime_class(&root, out),
        ("coordination.k8s.io", "Lease") => cluster::lease(&spec, out),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => cluster::flow_schema(&root, out),
        ("storage.k8s.io", "VolumeAttributesClass") => cluster::volume_attributes(&root, out),
        ("networking.k8s.io", "ServiceCIDR") => cluster::service_range(&spec, out),
        ("resource.k8s.io", "DeviceClass") => cluster::device_class(&spec, out),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => crate::validate::definition(&root, out),
        _ => {}
    }
}
