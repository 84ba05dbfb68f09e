//! The schemas of a release as kubeconform wants them, a file for each kind, closed: made of the OpenAPI that Kubernetes publishes in its Go module, which
//! our own schemas are made of too. It does not know who reads them.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::sh;

/// Writes a file for each kind of the release.
pub(super) fn write(folder: &Path, release: &str) -> sh::Outcome {
    let module = format!("k8s.io/kubernetes@v{release}");
    let mut go = sh::program("go");
    // Outside of every module.
    let told = sh::output(go.current_dir(std::env::temp_dir()).args(["mod", "download", "-json", &module]))?;
    let told: Value = serde_json::from_str(&told).map_err(|error| format!("go mod download: {error}"))?;
    let place = PathBuf::from(told["Dir"].as_str().unwrap_or_default()).join("api/openapi-spec/swagger.json");
    let document: Value =
        serde_json::from_str(&sh::read(&place)?).map_err(|error| format!("{}: {error}", place.display()))?;
    let mut all = document["definitions"].as_object().cloned().unwrap_or_default();
    for (name, schema) in &mut all {
        // The two types whose form the document does not tell: <https://github.com/kubernetes/kube-openapi>.
        if name.ends_with(".IntOrString") || name.ends_with(".Quantity") {
            *schema = json!({"type": ["string", "number"]});
        }
        close(schema);
    }
    for (name, schema) in &all {
        for kind in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let text = |key: &str| kind[key].as_str().unwrap_or_default();
            // `networking.k8s.io` is `networking` in the file's name.
            let group = text("group").split('.').next().filter(|group| !group.is_empty());
            let group = group.map(|group| format!("-{group}")).unwrap_or_default();
            let file = folder.join(format!("{}{group}-{}.json", text("kind").to_lowercase(), text("version")));
            let reached = reached(&all, name);
            // What describes schemas themselves, kubeconform does not take.
            if !reached.keys().any(|name| name.contains("JSONSchemaProps")) {
                let schema = json!({"$ref": format!("#/definitions/{name}"), "definitions": reached});
                sh::write(&file, &schema.to_string())?;
            }
        }
    }
    Ok(())
}

/// A definition with all that it refers to, however far.
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

/// What is not in the schema may not be there; formats and extensions are the server's own, descriptions for people.
fn close(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else { return };
    if map.contains_key("properties") {
        map.insert("additionalProperties".into(), json!(false));
    }
    let extension = |key: &str| key.starts_with("x-kubernetes-") && key != "x-kubernetes-group-version-kind";
    let told = |key: &str| matches!(key, "format" | "description");
    // A field may be called so too, and is a map then.
    map.retain(|key, value| !extension(key) && (!told(key) || !value.is_string()));
    for inner in map.values_mut() {
        match inner {
            Value::Object(_) => close(inner),
            Value::Array(items) => items.iter_mut().for_each(close),
            _ => {}
        }
    }
}
