//! What an environment does to manifests: namespace, labels, annotations, images, resources, variables, hardening, the labels of pod security. Declared in
//! `apm.yaml`, carried out on objects or on a text with its comments kept. What is there already and says the same is not touched; hardening and resources
//! only fill in what a manifest leaves open.
//!
//! It reads no file and makes no object: [`crate::generate`] does.

use std::collections::BTreeMap;

use lib_yaml_edit::Step;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::change::{ChangeError, Edit, edit};
use crate::generate::{Generator, GeneratorOptions};
use crate::object::{Limits, ReadError, pod_path, read};
use crate::patch::{Draft, Op, walk};
use crate::validate::{MINOR_NEWEST, Target, namespaced};

/// A standard of Kubernetes' pod security.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PodSecurity {
    Privileged,
    Baseline,
    Restricted,
}

/// `services.NAME.deploy.kubernetes.transform`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct TransformSettings {
    /// Of every object that lives in one, and of the service accounts that bindings name.
    pub namespace: Option<String>,
    /// On objects and the pods they make; selectors stay, since a server lets nobody change them.
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// By repository, `registry/shop/cart`: the reference that takes its place.
    pub images: BTreeMap<String, String>,
    /// By registry, such as `ghcr.io`: what takes its place before the rest of the name; an image that names none is Docker Hub's.
    pub registries: BTreeMap<String, String>,
    /// `requests` and `limits`, by name, for containers that say none.
    pub requests: BTreeMap<String, String>,
    pub limits: BTreeMap<String, String>,
    /// For every container, init containers left out.
    pub env: BTreeMap<String, String>,
    /// Not as root, no capabilities, a root file system that is only read, the runtime's own seccomp profile.
    pub harden: bool,
    /// The standard that namespaces enforce.
    pub pod_security: Option<PodSecurity>,
    /// Pods are annotated so that a Prometheus finds them.
    pub prometheus: Option<PrometheusSettings>,
    /// ConfigMaps that are made, in kustomize's words.
    #[serde(rename = "configMapGenerator", alias = "config_map_generator")]
    pub config_map_generator: Vec<Generator>,
    #[serde(rename = "secretGenerator", alias = "secret_generator")]
    pub secret_generator: Vec<Generator>,
    /// For all generators.
    #[serde(rename = "generatorOptions", alias = "generator_options")]
    pub generator_options: GeneratorOptions,
}

/// Where a pod's metrics are, for the annotations `prometheus.io/*` that are heeded by custom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct PrometheusSettings {
    /// Left out, the container's port that is called `metrics`, `http-metrics` or `prometheus`; a pod without one stays as it is.
    pub port: Option<u16>,
    /// `/metrics` when left out.
    pub path: Option<String>,
    /// `http` when left out.
    pub scheme: Option<String>,
}

/// Why an object cannot be transformed.
#[derive(Debug, thiserror::Error)]
pub enum TransformError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(
        "container `{container}` takes {variable} from elsewhere (valueFrom), and the settings give it a value; leave one of them out"
    )]
    ValueFrom { container: String, variable: String },
    #[error("{file}: {cause}")]
    Change { file: String, cause: ChangeError },
}

/// The operations that make of an object what the settings want.
pub fn transform(object: &Value, settings: &TransformSettings) -> Result<Vec<Op>, TransformError> {
    let word = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (word("apiVersion"), word("kind"));
    let mut draft = Draft::new(object.clone());
    let target = Target { minor: MINOR_NEWEST };
    if let Some(namespace) = &settings.namespace
        && namespaced(&api_version, &kind, &target).unwrap_or(true)
    {
        set(&mut draft, &path(&["metadata", "namespace"]), json!(namespace));
    }
    if let (Some(namespace), "RoleBinding" | "ClusterRoleBinding") = (&settings.namespace, kind.as_str()) {
        for at in 0..draft.items(&path(&["subjects"])).len() {
            let subject = [path(&["subjects"]), vec![Step::from(at)]].concat();
            if draft.at(&subject).is_some_and(|subject| subject["kind"] == "ServiceAccount") {
                set(&mut draft, &[subject, path(&["namespace"])].concat(), json!(namespace));
            }
        }
    }
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let pod = pod_path(group, &kind).map(path).filter(|pod| walk(object, pod).is_some());
    for root in [Some(Vec::new()), pod.clone().filter(|pod| !pod.is_empty())].into_iter().flatten() {
        for (map, values) in [("labels", &settings.labels), ("annotations", &settings.annotations)] {
            for (key, value) in values {
                set(&mut draft, &[root.clone(), path(&["metadata", map, key])].concat(), json!(value));
            }
        }
    }
    if let (Some(level), "", "Namespace") = (settings.pod_security, group, kind.as_str()) {
        let level = match level {
            PodSecurity::Privileged => "privileged",
            PodSecurity::Baseline => "baseline",
            PodSecurity::Restricted => "restricted",
        };
        for mode in ["enforce", "warn"] {
            let key = format!("pod-security.kubernetes.io/{mode}");
            set(&mut draft, &path(&["metadata", "labels", &key]), json!(level));
        }
    }
    if let Some(pod) = pod {
        of_pod(&mut draft, &pod, settings)?;
    }
    Ok(draft.ops)
}

fn of_pod(draft: &mut Draft, pod: &[Step], settings: &TransformSettings) -> Result<(), TransformError> {
    let spec = [pod, &path(&["spec"])].concat();
    if let Some(prometheus) = &settings.prometheus {
        scraped(draft, pod, prometheus);
    }
    if settings.harden {
        let own = [spec.clone(), path(&["securityContext"])].concat();
        fill(draft, &[own.clone(), path(&["runAsNonRoot"])].concat(), json!(true));
        fill(draft, &[own, path(&["seccompProfile"])].concat(), json!({"type": "RuntimeDefault"}));
    }
    for list in ["initContainers", "containers"] {
        let list_path = [spec.clone(), path(&[list])].concat();
        for at in 0..draft.items(&list_path).len() {
            let container = [list_path.clone(), vec![Step::from(at)]].concat();
            of_container(draft, &container, settings, list == "containers")?;
        }
    }
    Ok(())
}

/// The pod says already whether it is scraped, or it is told where its metrics are.
fn scraped(draft: &mut Draft, pod: &[Step], settings: &PrometheusSettings) {
    const NAMES: [&str; 3] = ["metrics", "http-metrics", "prometheus"];
    let at = |key: &str| [pod, &path(&["metadata", "annotations", key])].concat();
    if draft.at(&at("prometheus.io/scrape")).is_some() {
        return;
    }
    let containers = draft.items(&[pod, &path(&["spec", "containers"])].concat());
    let ports = containers.iter().filter_map(|container| container["ports"].as_array()).flatten();
    let named = |port: &&Value| port["name"].as_str().is_some_and(|name| NAMES.contains(&name));
    let own = ports.filter(named).find_map(|port| port["containerPort"].as_u64());
    let Some(port) = settings.port.map(u64::from).or(own) else { return };
    fill(draft, &at("prometheus.io/scrape"), json!("true"));
    fill(draft, &at("prometheus.io/port"), json!(port.to_string()));
    for (key, value) in [("path", &settings.path), ("scheme", &settings.scheme)] {
        if let Some(value) = value {
            fill(draft, &at(&format!("prometheus.io/{key}")), json!(value));
        }
    }
}

fn of_container(
    draft: &mut Draft,
    container: &[Step],
    settings: &TransformSettings,
    is_program: bool,
) -> Result<(), TransformError> {
    let at = |keys: &[&str]| [container, &path(keys)].concat();
    let now = draft.at(container).cloned().unwrap_or_default();
    if let Some(image) = now["image"].as_str() {
        let other = settings.images.get(repository(image)).cloned();
        if let Some(image) = other.or_else(|| elsewhere(image, &settings.registries)) {
            set(draft, &at(&["image"]), json!(image));
        }
    }
    for (what, values) in [("requests", &settings.requests), ("limits", &settings.limits)] {
        for (name, value) in values {
            fill(draft, &at(&["resources", what, name]), json!(value));
        }
    }
    for (name, value) in settings.env.iter().filter(|_| is_program) {
        let list = at(&["env"]);
        let items = draft.items(&list);
        let Some(index) = items.iter().position(|one| one["name"] == **name) else {
            let end = items.len();
            draft.insert(&list, end, vec![json!({"name": name, "value": value})]);
            continue;
        };
        let item = [list, vec![Step::from(index)]].concat();
        if draft.at(&item).is_some_and(|one| !one["valueFrom"].is_null()) {
            let container = now["name"].as_str().unwrap_or_default().to_owned();
            return Err(TransformError::ValueFrom { container, variable: name.clone() });
        }
        set(draft, &[item, path(&["value"])].concat(), json!(value));
    }
    // A privileged container may not be told that it gets no privileges: the server refuses both at once.
    if settings.harden && now["securityContext"]["privileged"] != true {
        fill(draft, &at(&["securityContext", "allowPrivilegeEscalation"]), json!(false));
        fill(draft, &at(&["securityContext", "readOnlyRootFilesystem"]), json!(true));
        fill(draft, &at(&["securityContext", "capabilities", "drop"]), json!(["ALL"]));
    }
    Ok(())
}

/// The file's text as the settings want it.
pub fn transform_text(
    name: &str,
    text: &str,
    settings: &TransformSettings,
    limits: &Limits,
) -> Result<String, TransformError> {
    let file = read(name, text, limits)?;
    let mut edits = Vec::new();
    for object in &file.objects {
        let ops = transform(&object.json(), settings)?;
        edits.extend(ops.iter().map(|op| Edit { object, change: op.change() }));
    }
    if edits.is_empty() {
        return Ok(text.to_owned());
    }
    edit(text, &edits, limits).map_err(|cause| TransformError::Change { file: name.to_owned(), cause })
}

fn path(keys: &[&str]) -> Vec<Step> {
    keys.iter().map(|key| Step::from(*key)).collect()
}

fn set(draft: &mut Draft, path: &[Step], value: Value) {
    if draft.at(path) != Some(&value) {
        draft.set(path, value);
    }
}

fn fill(draft: &mut Draft, path: &[Step], value: Value) {
    if draft.at(path).is_none_or(Value::is_null) {
        draft.set(path, value);
    }
}

/// Where an image is that names no registry; no code of an error.
const HUB: &str = concat!("docker", ".io");

/// The image at the registry that takes its own one's place; nothing if none does, or if it is there already.
fn elsewhere(image: &str, registries: &BTreeMap<String, String>) -> Option<String> {
    let first = image.split_once('/');
    // As Docker's own client tells a registry from a user's name.
    let (registry, rest) = match first.filter(|(host, _)| host.contains(['.', ':']) || *host == "localhost") {
        Some((registry, rest)) => (registry, rest.to_owned()),
        None if first.is_none() => (HUB, format!("library/{image}")),
        None => (HUB, image.to_owned()),
    };
    let place = registries.get(registry)?.trim_end_matches('/');
    (!image.starts_with(&format!("{place}/"))).then(|| format!("{place}/{rest}"))
}

/// A reference without tag and digest.
pub fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let name = image.rfind('/').map_or(0, |slash| slash + 1);
    match image.get(name..).and_then(|name| name.find(':')) {
        Some(colon) => image.get(..name + colon).unwrap_or(image),
        None => image,
    }
}

#[cfg(test)]
mod tests;
