//! The real kubeconform, strict, with schemas made of what the very API server publishes (`/openapi/v2`). Knows no chart.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Map, Value, json};
use tests_journeys::{Cluster, tools};

/// Every object of the file is as its schema says, and a field that nobody knows would have been seen.
pub(crate) fn check(cluster: &Cluster, file: &str, folder: &Path) {
    let schemas = folder.join("schemas");
    std::fs::create_dir(&schemas).expect("made");
    write(cluster, &schemas);
    let good = kubeconform(&schemas, file);
    let told = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(good.status.success() && told.contains("Invalid: 0, Errors: 0, Skipped: 0"), "{told}");

    let text = std::fs::read_to_string(file).expect("readable");
    let wrong = folder.join("wrong.yaml");
    std::fs::write(&wrong, text.replacen("terminationGracePeriodSeconds:", "terminationGraceSeconds:", 1))
        .expect("written");
    let bad = kubeconform(&schemas, wrong.to_str().expect("ASCII"));
    assert!(!bad.status.success() && String::from_utf8_lossy(&bad.stdout).contains("terminationGraceSeconds"));
}

fn kubeconform(schemas: &Path, file: &str) -> Output {
    let location = format!("{}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json", schemas.display());
    let mut command = Command::new(tools::tool("kubeconform"));
    command.args(["-strict", "-summary", "-verbose", "-schema-location", &location, file]);
    command.output().expect("kubeconform can be started")
}

/// A file for each kind that a chart may have, named as kubeconform asks for it.
fn write(cluster: &Cluster, folder: &Path) {
    let document: Value = serde_json::from_str(&cluster.kubectl(&["get", "--raw", "/openapi/v2"])).expect("JSON");
    let mut definitions = document["definitions"].clone();
    let all = definitions.as_object_mut().expect("a map");
    for (name, schema) in all.iter_mut() {
        // The two types whose form the document does not tell: <https://github.com/kubernetes/kube-openapi>.
        if name.ends_with(".IntOrString") || name.ends_with(".Quantity") {
            *schema = json!({"type": ["string", "number"]});
        }
        close(schema);
    }
    for (name, schema) in all.clone() {
        for kind in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let text = |key: &str| kind[key].as_str().unwrap_or_default();
            // `networking.k8s.io` is `networking` in the file's name.
            let group = text("group").split('.').next().filter(|group| !group.is_empty());
            let group = group.map(|group| format!("-{group}")).unwrap_or_default();
            let file = format!("{}{group}-{}.json", text("kind").to_lowercase(), text("version"));
            if WANTED.contains(&text("kind")) {
                let schema = json!({"$ref": format!("#/definitions/{name}"), "definitions": reached(all, &name)});
                std::fs::write(folder.join(file), schema.to_string()).expect("written");
            }
        }
    }
}

/// A definition with all that it refers to, however far. The rest, which describes schemas themselves, kubeconform does not take.
fn reached(all: &Map<String, Value>, name: &str) -> Map<String, Value> {
    let (mut found, mut names) = (Map::new(), vec![name.to_owned()]);
    while let Some(name) = names.pop() {
        if !found.contains_key(&name) {
            let schema = all.get(&name).cloned().unwrap_or_default();
            references(&schema, &mut names);
            found.insert(name, schema);
        }
    }
    found
}

fn references(schema: &Value, names: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            let name = map.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix("#/definitions/"));
            names.extend(name.map(str::to_owned));
            map.values().for_each(|inner| references(inner, names));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, names)),
        _ => {}
    }
}

const WANTED: [&str; 11] = [
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "NetworkPolicy",
    "ConfigMap",
    "Service",
    "StatefulSet",
    "DaemonSet",
    "Deployment",
    "PodDisruptionBudget",
    "MutatingWebhookConfiguration",
];

/// Strict: what is not in the schema may not be there.
fn close(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else { return };
    if map.contains_key("properties") {
        map.insert("additionalProperties".into(), json!(false));
    }
    // What these say of types and formats is the server's own.
    map.retain(|key, _| {
        !key.starts_with("x-kubernetes-") && key != "format" || key == "x-kubernetes-group-version-kind"
    });
    for inner in map.values_mut() {
        match inner {
            Value::Object(_) => close(inner),
            Value::Array(items) => items.iter_mut().for_each(close),
            _ => {}
        }
    }
}

#[test]
fn a_schema_is_closed_in_its_depth() {
    let mut schema = json!({"properties": {"a": {"items": {"properties": {}}, "format": "int32"}}});
    close(&mut schema);
    let inner = json!({"items": {"properties": {}, "additionalProperties": false}});
    assert_eq!(
        schema,
        Value::Object(Map::from_iter([
            ("properties".into(), json!({"a": inner})),
            ("additionalProperties".into(), json!(false))
        ]))
    );
}
