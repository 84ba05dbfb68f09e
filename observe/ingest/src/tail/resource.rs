//! Whose lines these are, by OpenTelemetry's rules for Kubernetes: stream labels and structured metadata as OTLP logs get them.
//!
//! Source: <https://opentelemetry.io/docs/specs/semconv/non-normative/k8s-attributes/>. Before all of it stands what the container itself says of its
//! telemetry, so that logs and traces of one container have one name. Knows no file.

use std::collections::BTreeMap;

use observe_wire::otlp::{PROMOTED_BY_DEFAULT, label_name};

use super::line::Stream;
use super::pods::{ContainerFacts, PodFacts};
use super::{PodRef, TailSettings};

pub(super) type Pairs = Vec<(String, String)>;

/// Of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resource {
    /// Stream labels, sorted.
    pub(super) labels: Pairs,
    /// What stays with each entry.
    rest: Pairs,
}

/// Values longer than a store takes are cut rather than lose every line of the pod.
const VALUE_MAX_BYTES: usize = 2048;
/// Attributes by annotation or variable beyond this are left out: a store refuses entries with more pairs than it allows.
const ATTRIBUTES_MAX: usize = 48;

impl Resource {
    /// `facts`: `None` is what the path alone says.
    pub(super) fn of(pod: &PodRef, container: &str, facts: Option<&PodFacts>, settings: &TailSettings) -> Resource {
        let none = PodFacts::default();
        let facts = facts.unwrap_or(&none);
        let empty = ContainerFacts::default();
        let own = facts.containers.get(container).unwrap_or(&empty);
        let mut attributes: BTreeMap<&str, String> = BTreeMap::new();
        for (name, value) in facts.attributes.iter().chain(&own.attributes).take(ATTRIBUTES_MAX) {
            attributes.insert(name, value.clone());
        }
        let mut put = |name: &'static str, value: &str| {
            if !value.is_empty() {
                attributes.insert(name, value.to_owned());
            }
        };
        put("k8s.namespace.name", &pod.namespace);
        put("k8s.pod.name", &pod.name);
        put("k8s.pod.uid", &pod.uid);
        put("k8s.container.name", container);
        put("k8s.node.name", if facts.node.is_empty() { &settings.node_name } else { &facts.node });
        let workload = workload(facts);
        for (name, value) in &workload {
            put(name, value);
        }
        let label = |name: &str| facts.labels.get(name).filter(|value| !value.is_empty()).cloned();
        let name = || label("app.kubernetes.io/instance").or_else(|| label("app.kubernetes.io/name"));
        let owner = || workload.first().map(|(_, name)| name.clone());
        let mut or = |name: &'static str, value: &dyn Fn() -> Option<String>| {
            if !attributes.contains_key(name)
                && let Some(value) = value()
            {
                attributes.insert(name, value);
            }
        };
        or("service.name", &|| name().or_else(owner).or_else(|| Some(pod.name.clone())));
        or("service.namespace", &|| Some(pod.namespace.clone()));
        or("service.version", &|| label("app.kubernetes.io/version").or_else(|| tag(&own.image)));
        or("service.instance.id", &|| Some(format!("{}.{}.{container}", pod.namespace, pod.name)));
        split(&attributes)
    }

    /// Structured metadata of an entry, sorted; `detected_level` is still to come.
    pub(super) fn metadata(&self, restart: u32, stream: Option<Stream>) -> Pairs {
        let mut pairs = self.rest.clone();
        pairs.push(("k8s_container_restart_count".to_owned(), restart.to_string()));
        if let Some(stream) = stream {
            pairs.push(("log_iostream".to_owned(), stream.as_str().to_owned()));
        }
        pairs.sort();
        pairs.dedup_by(|later, kept| later.0 == kept.0);
        pairs
    }
}

fn split(attributes: &BTreeMap<&str, String>) -> Resource {
    let (mut labels, mut rest) = (Pairs::new(), Pairs::new());
    for (name, value) in attributes {
        let Some(label) = label_name(name) else { continue };
        let to = if PROMOTED_BY_DEFAULT.contains(name) { &mut labels } else { &mut rest };
        let value = &value[..value.floor_char_boundary(VALUE_MAX_BYTES)];
        to.push((label.into_owned(), value.to_owned()));
    }
    labels.sort();
    Resource { labels, rest }
}

/// The workload and what stands between it and the pod, the uppermost first: a ReplicaSet is its Deployment's name and the pods' hash, a Job of a CronJob
/// the CronJob's name and the minute.
fn workload(facts: &PodFacts) -> Vec<(&'static str, String)> {
    let Some((kind, name)) = &facts.owner else { return Vec::new() };
    let own = |attribute| (attribute, name.clone());
    let above = |attribute, hash: Option<&str>| {
        let name = name.strip_suffix(hash?)?.strip_suffix('-').filter(|name| !name.is_empty())?;
        Some((attribute, name.to_owned()))
    };
    match kind.as_str() {
        "ReplicaSet" => {
            let hash = facts.labels.get("pod-template-hash").map(String::as_str);
            above("k8s.deployment.name", hash).into_iter().chain([own("k8s.replicaset.name")]).collect()
        }
        "Job" => {
            let minute = name.rsplit_once('-').map(|(_, minute)| minute);
            let minute = minute.filter(|minute| minute.len() >= 8 && minute.bytes().all(|b| b.is_ascii_digit()));
            above("k8s.cronjob.name", minute).into_iter().chain([own("k8s.job.name")]).collect()
        }
        "StatefulSet" => vec![own("k8s.statefulset.name")],
        "DaemonSet" => vec![own("k8s.daemonset.name")],
        // A static pod's owner is its node, and of a kind nobody here has heard of there is no attribute.
        _ => Vec::new(),
    }
}

/// The tag of an image, or its digest where there is no tag.
fn tag(image: &str) -> Option<String> {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or(name);
    let tag = last.split_once(':').map(|(_, tag)| tag).filter(|tag| !tag.is_empty());
    tag.or(digest).map(str::to_owned)
}
