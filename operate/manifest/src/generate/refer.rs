//! Where objects name ConfigMaps and Secrets, and the names that they must have by now. The places are those of kustomize's own list, as far as the core
//! of Kubernetes has them.

use lib_yaml_edit::Step;
use serde_json::Value;

use super::Generated;
use crate::object::pod_path;
use crate::patch::{Draft, Op, walk};

/// In a pod's `spec`; `*` is each item of a list.
const OF_POD: [(&str, &str); 13] = [
    ("ConfigMap", "volumes/*/configMap/name"),
    ("ConfigMap", "volumes/*/projected/sources/*/configMap/name"),
    ("ConfigMap", "containers/*/env/*/valueFrom/configMapKeyRef/name"),
    ("ConfigMap", "containers/*/envFrom/*/configMapRef/name"),
    ("ConfigMap", "initContainers/*/env/*/valueFrom/configMapKeyRef/name"),
    ("ConfigMap", "initContainers/*/envFrom/*/configMapRef/name"),
    ("Secret", "volumes/*/secret/secretName"),
    ("Secret", "volumes/*/projected/sources/*/secret/name"),
    ("Secret", "containers/*/env/*/valueFrom/secretKeyRef/name"),
    ("Secret", "containers/*/envFrom/*/secretRef/name"),
    ("Secret", "initContainers/*/env/*/valueFrom/secretKeyRef/name"),
    ("Secret", "initContainers/*/envFrom/*/secretRef/name"),
    ("Secret", "imagePullSecrets/*/name"),
];
/// Of the whole object, by its kind.
const OF_KIND: [(&str, &str, &str); 6] = [
    ("Ingress", "Secret", "spec/tls/*/secretName"),
    ("ServiceAccount", "Secret", "imagePullSecrets/*/name"),
    ("Role", "ConfigMap", "rules/*/resourceNames/*"),
    ("Role", "Secret", "rules/*/resourceNames/*"),
    ("ClusterRole", "ConfigMap", "rules/*/resourceNames/*"),
    ("ClusterRole", "Secret", "rules/*/resourceNames/*"),
];

/// The operations that make an object, which lives in `namespace`, name what was generated.
pub fn refer(object: &Value, namespace: &str, generated: &[Generated]) -> Vec<Op> {
    let mut draft = Draft::new(object.clone());
    let kind = object["kind"].as_str().unwrap_or_default();
    let group =
        object["apiVersion"].as_str().and_then(|version| version.split_once('/')).map_or("", |(group, _)| group);
    let mut places = Vec::new();
    if let Some(pod) = pod_path(group, kind) {
        let spec: Vec<Step> = pod.iter().chain(&["spec"]).map(|key| Step::from(*key)).collect();
        for (what, pattern) in OF_POD {
            places.extend(found(object, &spec, pattern).into_iter().map(|path| (what, path)));
        }
    }
    for (_, what, pattern) in OF_KIND.iter().filter(|(of, ..)| *of == kind) {
        places.extend(found(object, &[], pattern).into_iter().map(|path| (*what, path)));
    }
    for (what, path) in places {
        let Some(name) = draft.at(&path).and_then(Value::as_str) else { continue };
        let is = |one: &&Generated| one.kind == what && one.plain == name && one.namespace == namespace;
        if let Some(one) = generated.iter().find(is).filter(|one| one.name != one.plain) {
            draft.set(&path, Value::from(one.name.as_str()));
        }
    }
    draft.ops
}

fn found(object: &Value, base: &[Step], pattern: &str) -> Vec<Vec<Step>> {
    let mut paths = vec![base.to_vec()];
    for part in pattern.split('/') {
        let next = |path: Vec<Step>| -> Vec<Vec<Step>> {
            let with = |step: Step| path.iter().cloned().chain([step]).collect::<Vec<_>>();
            match walk(object, &path) {
                Some(Value::Array(items)) if part == "*" => (0..items.len()).map(|at| with(Step::from(at))).collect(),
                Some(Value::Object(map)) if map.contains_key(part) => vec![with(Step::from(part))],
                _ => Vec::new(),
            }
        };
        paths = paths.into_iter().flat_map(next).collect();
    }
    paths
}
