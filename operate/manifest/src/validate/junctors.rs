//! What may stand under `allOf`, `anyOf`, `oneOf` and `not` of a definition's schema: bounds and the like, and nothing that says what a value is, for that
//! stands beside them. Rules in CEL are none of it: the server refuses them there. The form of a structural schema is
//! <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>; the words are the
//! server's (apiextensions-apiserver, `validateNestedValueValidation`). It evaluates nothing.

use lib_yaml_edit::{Node, Value};

use super::at::At;
use super::finding::Out;

const JUNCTORS: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const EMPTY: [&str; 5] = ["type", "title", "description", "x-kubernetes-list-map-keys", "x-kubernetes-validations"];
const UNDEFINED: [&str; 4] = ["additionalProperties", "default", "x-kubernetes-list-type", "x-kubernetes-map-type"];
const FALSE: [&str; 4] = [
    "nullable",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
];

fn wrong(at: &At<'_>, what: &str, out: &mut Out) {
    let fix = "write it beside the junctor, at the place of the value itself";
    out.error(at, "custom/definition", what, fix);
}

/// `anyOf: [{type: integer}, {type: string}]`, as it is written for what is a number or a text.
fn is_int_or_text(list: &At<'_>) -> bool {
    let is =
        |item: Option<At<'_>>, kind: &str| item.is_some_and(|item| item.len() == 1 && item.get("type").str() == kind);
    let (first, second) = (list.items().next(), list.items().nth(1));
    list.len() == 2 && is(first, "integer") && is(second, "string")
}

/// At one place of the structural part.
pub(super) fn check(at: &At<'_>, out: &mut Out) {
    let all = at.get("allOf");
    let first = all.items().next().is_some_and(|one| is_int_or_text(&one.get("anyOf")));
    under(at, is_int_or_text(&at.get("anyOf")), first, out);
}

fn under(at: &At<'_>, skip_any: bool, skip_any_of_first: bool, out: &mut Out) {
    for junctor in JUNCTORS {
        if junctor == "anyOf" && skip_any {
            continue;
        }
        let list = at.get(junctor);
        for (index, one) in list.items().enumerate() {
            nested(&one, junctor == "allOf" && index == 0 && skip_any_of_first, out);
        }
    }
    let not = at.get("not");
    if not.is() {
        nested(&not, false, out);
    }
}

fn nested(at: &At<'_>, skip_any: bool, out: &mut Out) {
    under(at, skip_any, false, out);
    let items = at.get("items");
    if items.is() {
        nested(&items, false, out);
    }
    let properties = at.get("properties");
    for (key, property) in properties.pairs() {
        nested(&property, false, out);
        if key == "metadata" {
            wrong(&property, "must not be specified in a nested context", out);
        }
    }
    for key in EMPTY {
        let value = at.get(key);
        if value.len() > 0 || !value.str().is_empty() {
            wrong(&value, "must be empty to be structural", out);
        }
    }
    for key in UNDEFINED {
        let value = at.get(key);
        let is_open = key != "additionalProperties" || value.bool() || value.node.is_some_and(is_map);
        if value.is() && is_open {
            wrong(&value, "must be undefined to be structural", out);
        }
    }
    for key in FALSE {
        let value = at.get(key);
        if value.bool() {
            wrong(&value, "must be false to be structural", out);
        }
    }
}

fn is_map(node: &Node) -> bool {
    matches!(node.value, Value::Map(_))
}

/// What is bounded under the junctors of the whole schema must be there without them. The server asks it of these alone, not of those further down.
pub(super) fn complete(at: &At<'_>, out: &mut Out) {
    beside(at, at, out);
}

fn beside(bounds: &At<'_>, schema: &At<'_>, out: &mut Out) {
    for junctor in JUNCTORS {
        let list = bounds.get(junctor);
        for one in list.items() {
            bounded(&one, schema, out);
        }
    }
    let not = bounds.get("not");
    if not.is() {
        bounded(&not, schema, out);
    }
}

fn bounded(bounds: &At<'_>, schema: &At<'_>, out: &mut Out) {
    beside(bounds, schema, out);
    let items = bounds.get("items");
    if items.is() {
        let own = schema.get("items");
        if own.is() { bounded(&items, &own, out) } else { missing(&own, &items, out) }
    }
    let (properties, all) = (bounds.get("properties"), schema.get("properties"));
    for (key, property) in properties.pairs() {
        let own = all.get(key);
        if own.is() { bounded(&property, &own, out) } else { missing(&own, &property, out) }
    }
}

fn missing(at: &At<'_>, because: &At<'_>, out: &mut Out) {
    let what = format!("Required value: because it is defined in {}", because.path());
    out.error(because, "custom/definition", what, format!("say what it is at {}", at.path()));
}
