//! The corpus of costs: each case is a rule over the items of a list, which is bounded so that the server's refusal tells the factor by which the rule is
//! too costly, to some digits. The first line is the schema of an item. It does not know what is right.

use serde_json::{Value, json};

/// A definition, and what a server says of its cost: none, or the refusal.
pub(crate) struct Case {
    pub(crate) rule: String,
    pub(crate) definition: Value,
    pub(crate) said: Option<String>,
}

/// All cases of the corpus' text.
pub(crate) fn cases(text: &str) -> Vec<Case> {
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let item = lines.next().expect("the schema")["schema"].take();
    let case = |(at, line): (usize, Value)| {
        let (kind, plural) = (format!("Cost{at}"), format!("cost{at}s"));
        let items = json!({ "type": "object", "required": ["s"], "properties": item, "x-kubernetes-validations": [{ "rule": line["rule"] }] });
        let list = json!({ "type": "array", "maxItems": line["items_max"], "items": items,
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["s"] });
        let spec = json!({ "type": "object", "properties": { "w": list } });
        let schema = json!({ "type": "object", "properties": { "spec": spec } });
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.rules.example.org") },
            "spec": {
                "group": "rules.example.org", "scope": "Namespaced", "names": { "plural": plural, "kind": kind },
                "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } }],
            },
        });
        let said = line["server"].as_str().map(str::to_owned);
        Case { rule: line["rule"].as_str().expect("a rule").to_owned(), definition, said }
    };
    lines.enumerate().map(case).collect()
}
