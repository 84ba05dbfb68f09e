//! The corpus of rules in CEL: each case becomes a CustomResourceDefinition and objects of it. It does not know what is right.

use lib_yaml_edit::{Data, Dialect, Limits, parse};
use serde_json::{Value, json};

/// A definition and objects of it.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) definition: Value,
    pub(crate) objects: Vec<Value>,
}

pub(crate) const GROUP: &str = "rules.example.org";

/// All cases of the corpus' text.
pub(crate) fn cases(text: &str) -> Vec<Case> {
    let documents = parse(text, &Limits::default()).expect("the corpus is YAML");
    let each = documents.iter().enumerate().map(|(index, document)| {
        let case: Value = match document.root.data(Dialect::Kubectl) {
            data @ Data::Map(_) => data.into(),
            _ => panic!("a case is a map"),
        };
        let name = case["name"].as_str().expect("a case has a name").to_owned();
        let (kind, plural) = (format!("Rule{index}"), format!("rule{index}s"));
        let whole = json!({ "type": "object", "properties": { "spec": case["schema"] } });
        let schema = if case["root"].is_null() { whole } else { case["root"].clone() };
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.{GROUP}") },
            "spec": {
                "group": GROUP, "scope": "Namespaced", "names": { "plural": plural, "kind": kind },
                "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } }],
            },
        });
        let specs = case["objects"].as_array().cloned().unwrap_or_default();
        let object = |(at, spec): (usize, &Value)| {
            json!({ "apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": { "name": format!("o{at}") }, "spec": spec })
        };
        Case { name, definition, objects: specs.iter().enumerate().map(object).collect() }
    });
    each.collect()
}
