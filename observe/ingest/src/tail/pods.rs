//! What is known of a pod beside the path of its logs, and the trait by which it is asked for. Knows no API server: whoever has one hands in
//! objects as JSON, and [`facts_of`] takes out what names a resource.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::multiline::MULTILINE;

/// A pod with `"false"` here has its logs left alone: the counterpart of `apm.dev/inject`.
pub const LOGS_OPT_OUT: &str = "apm.dev/logs";
/// Annotations with this prefix are resource attributes.
pub const ATTRIBUTE_PREFIX: &str = "resource.opentelemetry.io/";
/// Labels that name a resource; others are not kept.
const LABELS: [&str; 4] =
    ["app.kubernetes.io/instance", "app.kubernetes.io/name", "app.kubernetes.io/version", "pod-template-hash"];

/// A pod as the folder of its logs names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodRef {
    pub namespace: String,
    pub name: String,
    /// Of the object; for a static pod the hash that the API server's copy has as annotation `kubernetes.io/config.hash`.
    pub uid: String,
}

/// Who knows pods.
pub trait PodMetadata: Send + Sync {
    /// What is known now. Called about once a second for each container: it must not wait. The same `Arc` means that nothing has changed.
    fn pod(&self, pod: &PodRef) -> Lookup;
}

/// The answer.
#[derive(Clone, Debug)]
pub enum Lookup {
    Known(Arc<PodFacts>),
    /// It may become known soon: lines wait for it for as long as the settings say.
    NotYet,
    /// Nobody will know: lines do not wait.
    Never,
}

/// Nobody knows anything: resources are what the paths say.
pub struct NoMetadata;

impl PodMetadata for NoMetadata {
    fn pod(&self, _: &PodRef) -> Lookup {
        Lookup::Never
    }
}

/// Of a pod, what names its resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// Empty while it is not scheduled.
    pub node: String,
    /// Only those that name a resource.
    pub labels: BTreeMap<String, String>,
    /// Attributes by annotation, without the prefix.
    pub attributes: BTreeMap<String, String>,
    /// The controller: kind and name.
    pub owner: Option<(String, String)>,
    pub containers: BTreeMap<String, ContainerFacts>,
    /// `apm.dev/logs: "false"`
    pub opted_out: bool,
    /// What `apm.dev/logs-multiline` and its like for one container say, by what follows in the annotation's name.
    pub multiline: BTreeMap<String, String>,
}

/// Of one container, init and ephemeral ones included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerFacts {
    pub image: String,
    /// By its own variables `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`: what its traces say, its logs say too.
    pub attributes: BTreeMap<String, String>,
}

/// Takes a Pod (v1, as JSON) apart. A field that is missing or of another type counts as not set.
pub fn facts_of(pod: &Value) -> PodFacts {
    let (mut labels, mut attributes) = (texts(&pod["metadata"]["labels"]), BTreeMap::new());
    labels.retain(|name, _| LABELS.contains(&name.as_str()));
    let annotations = texts(&pod["metadata"]["annotations"]);
    for (name, value) in &annotations {
        if let Some(name) = name.strip_prefix(ATTRIBUTE_PREFIX) {
            attributes.insert(name.to_owned(), value.clone());
        }
    }
    let owners = pod["metadata"]["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default();
    let owner =
        owners.iter().find(|owner| owner["controller"] == true).map(|owner| (text(owner, "kind"), text(owner, "name")));
    let lists = ["containers", "initContainers", "ephemeralContainers"];
    let containers = lists.iter().filter_map(|list| pod["spec"][list].as_array()).flatten();
    PodFacts {
        node: text(&pod["spec"], "nodeName"),
        labels,
        attributes,
        owner,
        containers: containers.map(|container| (text(container, "name"), container_facts(container))).collect(),
        opted_out: annotations.get(LOGS_OPT_OUT).is_some_and(|value| value == "false"),
        multiline: annotations
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(MULTILINE)?.to_owned(), value.clone())))
            .collect(),
    }
}

impl PodFacts {
    /// What the pod asks for one of its containers.
    pub(super) fn multiline_of(&self, container: &str) -> Option<&str> {
        let own = self.multiline.get(&format!(".{container}")).or_else(|| self.multiline.get(""));
        own.map(String::as_str)
    }
}

/// The uids by which the logs of this pod (v1, as JSON) may be found: its own, and of a static pod the hash of its file.
pub fn log_uids(pod: &Value) -> Vec<String> {
    let hash = text(&pod["metadata"]["annotations"], "kubernetes.io/config.hash");
    [text(&pod["metadata"], "uid"), hash].into_iter().filter(|uid| !uid.is_empty()).collect()
}

fn container_facts(container: &Value) -> ContainerFacts {
    let mut attributes = BTreeMap::new();
    let variables = container["env"].as_array().map(Vec::as_slice).unwrap_or_default();
    let value = |name: &str| {
        let found = variables.iter().rfind(|variable| variable["name"] == name)?;
        // What the kubelet fills in is not known here.
        found["value"].as_str().filter(|value| !value.is_empty() && !value.contains("$("))
    };
    // Pairs as the specification of OpenTelemetry's variables has them; one that refers to another variable is left out alone.
    let pairs = variables.iter().rfind(|variable| variable["name"] == "OTEL_RESOURCE_ATTRIBUTES");
    for pair in pairs.and_then(|variable| variable["value"].as_str()).unwrap_or_default().split(',') {
        if let Some((name, value)) = pair.split_once('=').filter(|(_, value)| !value.contains("$(")) {
            attributes.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
    if let Some(name) = value("OTEL_SERVICE_NAME") {
        attributes.insert("service.name".to_owned(), name.to_owned());
    }
    attributes.retain(|name, value| !name.is_empty() && !value.is_empty());
    ContainerFacts { image: text(container, "image"), attributes }
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_default().to_owned()
}

fn texts(object: &Value) -> BTreeMap<String, String> {
    let pairs = object.as_object().into_iter().flatten();
    pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}
