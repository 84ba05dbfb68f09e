//! OpenAPI to short words: a definition is its fields, a field is a type of a few letters. Descriptions, patch strategies and defaults of objects go.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::sh;

/// A release's definitions and kinds.
#[derive(Default)]
pub(super) struct Shapes {
    /// Name to field name to its type, `!` behind what is required.
    pub(super) definitions: BTreeMap<String, BTreeMap<String, String>>,
    /// `group/version KIND` to its definition and `n` (namespaced) or `c`.
    pub(super) kinds: BTreeMap<String, (String, char)>,
}

pub(super) fn shapes(specs: &[Value]) -> sh::Outcome<Shapes> {
    let mut all: BTreeMap<&str, &Value> = BTreeMap::new();
    let mut scopes: BTreeMap<String, char> = BTreeMap::new();
    for spec in specs {
        let schemas = spec.pointer("/components/schemas").and_then(Value::as_object);
        all.extend(schemas.into_iter().flatten().map(|(name, schema)| (name.as_str(), schema)));
        for (path, methods) in spec.get("paths").and_then(Value::as_object).into_iter().flatten() {
            let Some(kind) = methods.pointer("/post/x-kubernetes-group-version-kind") else { continue };
            // Subresources are asked about an object that is there; what is created stands at the collection.
            if path.contains("{name}") {
                continue;
            }
            let scope = if path.contains("/namespaces/{namespace}/") { 'n' } else { 'c' };
            scopes.insert(kind_text(kind), scope);
        }
    }
    let mut shapes = Shapes::default();
    let mut wanted: Vec<String> = Vec::new();
    for (name, schema) in &all {
        for kind in schema.get("x-kubernetes-group-version-kind").and_then(Value::as_array).into_iter().flatten() {
            if let Some(scope) = scopes.get(&kind_text(kind)) {
                shapes.kinds.insert(kind_text(kind), (short(name), *scope));
                wanted.push((*name).to_owned());
            }
        }
    }
    // `DeleteOptions` and its like stand in every group; an object is a kind of one.
    let mut seen: BTreeSet<String> = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let schema = all.get(name.as_str()).ok_or_else(|| format!("`{name}` is named and not there"))?;
        let required: BTreeSet<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut fields = BTreeMap::new();
        for (field, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let mut word = type_word(schema, &all, &mut wanted)?;
            if required.contains(field.as_str()) {
                word.push('!');
            }
            fields.insert(field.clone(), word);
        }
        shapes.definitions.insert(short(&name), fields);
    }
    Ok(shapes)
}

fn kind_text(kind: &Value) -> String {
    let part = |key: &str| kind.get(key).and_then(Value::as_str).unwrap_or("");
    let slash = if part("group").is_empty() { "" } else { "/" };
    format!("{}{slash}{} {}", part("group"), part("version"), part("kind"))
}

/// A name without what all names begin with.
fn short(name: &str) -> String {
    let known = [
        "io.k8s.api.",
        "io.k8s.apimachinery.pkg.apis.",
        "io.k8s.apiextensions-apiserver.pkg.apis.",
        "io.k8s.kube-aggregator.pkg.apis.",
    ];
    known.iter().find_map(|start| name.strip_prefix(start)).unwrap_or(name).to_owned()
}

fn type_word(schema: &Value, all: &BTreeMap<&str, &Value>, wanted: &mut Vec<String>) -> sh::Outcome<String> {
    let text = |key: &str| schema.get(key).and_then(Value::as_str).unwrap_or("");
    if let Some(target) = text("$ref").rsplit_once('/').map(|(_, name)| name) {
        return reference(target, all, wanted);
    }
    if let Some([one]) = schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
        return type_word(one, all, wanted);
    }
    Ok(match (text("type"), text("format")) {
        ("string", "byte") => "y".to_owned(),
        ("string", "date-time") => "t".to_owned(),
        ("string", _) => "s".to_owned(),
        ("integer", "int32") => "i".to_owned(),
        ("integer", _) => "l".to_owned(),
        ("number", _) => "n".to_owned(),
        ("boolean", _) => "b".to_owned(),
        ("array", _) => {
            let items = type_word(schema.get("items").unwrap_or(&Value::Null), all, wanted)?;
            let keys: Vec<&str> = schema
                .get("x-kubernetes-list-map-keys")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            match text("x-kubernetes-list-type") {
                "map" => format!("[{}:{items}", keys.join(",")),
                "set" => format!("[=:{items}"),
                _ => format!("[:{items}"),
            }
        }
        ("object", _) => match schema.get("additionalProperties") {
            Some(values) if values.is_object() => format!("{{{}", type_word(values, all, wanted)?),
            _ => "o".to_owned(),
        },
        _ => "a".to_owned(),
    })
}

fn reference(name: &str, all: &BTreeMap<&str, &Value>, wanted: &mut Vec<String>) -> sh::Outcome<String> {
    match name.rsplit('.').next().unwrap_or(name) {
        "Quantity" => return Ok("q".to_owned()),
        "IntOrString" => return Ok("x".to_owned()),
        _ => {}
    }
    let schema = all.get(name).ok_or_else(|| format!("`{name}` is named and not there"))?;
    if schema.get("properties").is_some() {
        wanted.push(name.to_owned());
        return Ok(format!("@{}", short(name)));
    }
    type_word(schema, all, wanted)
}
