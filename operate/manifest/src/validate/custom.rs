//! Custom resources by the CustomResourceDefinitions that stand beside them: structural schemas (types, fields, ranges, patterns), and then
//! their rules in CEL. <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/>

use std::sync::{Arc, OnceLock};

use ahash::AHashMap;
use lib_yaml_edit::{Data, Dialect, Node, Value, Word};

use super::at::{At, is_null, whole};
use super::expressions;
use super::expressions::Rules;
use super::finding::{Out, Severity};
use super::shape::Shape;
use crate::object::Object;

/// A kind that a definition makes, in one version.
#[derive(Debug, Clone)]
pub(crate) struct CustomKind {
    schema: Option<Node>,
    status_apart: bool,
    /// Compiled when the first object of the kind is there.
    rules: Arc<OnceLock<(Shape, Rules)>>,
}

/// All kinds that the definitions among some objects make.
#[derive(Debug, Clone, Default)]
pub struct CustomKinds {
    kinds: AHashMap<(String, String), CustomKind>,
}

impl CustomKinds {
    pub fn of(objects: &[Object]) -> Self {
        let mut kinds = AHashMap::new();
        for object in objects.iter().filter(|o| {
            o.identity.api_version == "apiextensions.k8s.io/v1" && o.identity.kind == "CustomResourceDefinition"
        }) {
            let (Some(group), Some(kind)) = (object.text(&["spec", "group"]), object.text(&["spec", "names", "kind"]))
            else {
                continue;
            };
            let versions =
                object.node.get("spec").and_then(|spec| spec.get("versions")).map(Node::items).unwrap_or_default();
            for version in versions {
                let Some(name) = version.get("name").and_then(Node::text) else { continue };
                let schema = version.get("schema").and_then(|schema| schema.get("openAPIV3Schema")).cloned();
                let status_apart = version.get("subresources").and_then(|sub| sub.get("status")).is_some();
                kinds.insert(
                    (format!("{group}/{name}"), kind.to_owned()),
                    CustomKind { schema, status_apart, rules: Arc::default() },
                );
            }
        }
        CustomKinds { kinds }
    }

    pub(crate) fn get(&self, api_version: &str, kind: &str) -> Option<&CustomKind> {
        if self.kinds.is_empty() {
            return None;
        }
        self.kinds.get(&(api_version.to_owned(), kind.to_owned()))
    }
}

/// Checks an object of the kind.
pub(crate) fn check(kind: &CustomKind, root: &At<'_>, out: &mut Out) {
    let Some(schema) = &kind.schema else { return };
    let before = out.findings.len();
    let properties = schema.get("properties");
    let open = flag(schema, "x-kubernetes-preserve-unknown-fields");
    for (key, value) in root.pairs() {
        if matches!(key, "apiVersion" | "kind" | "metadata") || key == "status" && kind.status_apart {
            continue;
        }
        match properties.and_then(|properties| properties.get(key)) {
            Some(schema) => walk(schema, &value, out),
            None if open => {}
            None => unknown(key, &value, out),
        }
    }
    required(schema, root, out);
    rules(kind, schema, root, before, out);
}

/// Rules are evaluated on what has the form that the schema wants, as the server does it.
fn rules(kind: &CustomKind, schema: &Node, root: &At<'_>, before: usize, out: &mut Out) {
    let (shape, compiled) = kind.rules.get_or_init(|| {
        let shape = Shape::of(schema, true);
        let rules = Rules::of(&shape);
        (shape, rules)
    });
    if !shape.any_rule {
        return;
    }
    let blocks = |rule: &str| matches!(rule, "field/type" | "field/required" | "custom/schema");
    let found = out.findings.get(before..).unwrap_or_default();
    if found.iter().any(|finding| finding.severity == Severity::Error && blocks(finding.rule)) {
        out.not_checked.push("the rules in CEL, until the object has the form that its schema wants".to_owned());
        return;
    }
    expressions::check(compiled, shape, root, out);
}

fn flag(schema: &Node, key: &str) -> bool {
    schema.get(key).and_then(|node| node.word(Dialect::Kubectl)) == Some(Word::Bool(true))
}

fn number(schema: &Node, key: &str) -> Option<f64> {
    match schema.get(key)?.word(Dialect::Kubectl)? {
        Word::Number(number) => number.as_f64(),
        _ => None,
    }
}

fn unknown(key: &str, at: &At<'_>, out: &mut Out) {
    out.error(
        at,
        "field/unknown",
        format!("the definition of this kind has no field `{key}`"),
        "take it out, or is it spelt otherwise?",
    );
}

fn nullable(schema: &Node) -> bool {
    flag(schema, "nullable")
}

fn required(schema: &Node, at: &At<'_>, out: &mut Out) {
    for name in schema.get("required").map(Node::items).unwrap_or_default().iter().filter_map(Node::text) {
        let own = schema.get("properties").and_then(|all| all.get(name));
        // A null that is not declared is taken out before anything is looked for.
        let there =
            at.node.and_then(|node| node.get(name)).is_some_and(|node| !is_null(node) || own.is_none_or(nullable));
        let defaulted = own.is_some_and(|own| own.get("default").is_some());
        let whole = at.path().is_empty() || flag(schema, "x-kubernetes-embedded-resource");
        let own_kind = whole && matches!(name, "apiVersion" | "kind" | "metadata");
        if !(there || defaulted || own_kind) {
            out.error(at, "field/required", format!("`{name}` is missing"), format!("add `{name}:`"));
        }
    }
}

fn walk(schema: &Node, at: &At<'_>, out: &mut Out) {
    let Some(node) = at.node else { return };
    if is_null(node) {
        return;
    }
    if flag(schema, "x-kubernetes-int-or-string") {
        let fits = matches!(at.word(), Some(Word::Text(_))) || at.int().is_some();
        if !fits {
            out.error(at, "custom/schema", "a whole number or text is wanted", "write one");
        }
    } else if let Some(kind) = schema.get("type").and_then(Node::text)
        && !is_a(node, kind)
    {
        out.error(at, "field/type", format!("the definition wants {kind} here"), "write a value of that type");
        return;
    }
    match &node.value {
        Value::Map(pairs) => map(schema, at, pairs.len(), out),
        Value::List(items) => list(schema, at, items, out),
        Value::Scalar(_) => scalar(schema, at, out),
    }
    choices(schema, at, node, out);
    for key in ["allOf", "anyOf", "oneOf", "not"] {
        if schema.get(key).is_some() && !flag(schema, "x-kubernetes-int-or-string") {
            out.not_checked.push(format!("{}: `{key}` of the definition", at.path()));
        }
    }
}

pub(super) fn is_a(node: &Node, kind: &str) -> bool {
    match (kind, &node.value, node.word(Dialect::Kubectl)) {
        ("object", Value::Map(_), _) | ("array", Value::List(_), _) => true,
        ("string", _, Some(Word::Text(_)))
        | ("boolean", _, Some(Word::Bool(_)))
        | ("number", _, Some(Word::Number(_))) => true,
        ("integer", _, Some(Word::Number(number))) => whole(&number).is_some(),
        ("object" | "array" | "string" | "boolean" | "number" | "integer", ..) => false,
        _ => true,
    }
}

fn bounds(schema: &Node, at: &At<'_>, count: usize, keys: [&str; 2], out: &mut Out) {
    #[expect(clippy::cast_precision_loss, reason = "counts of a text of 10 MB are exact")]
    let count = count as f64;
    let (least, most) = (number(schema, keys[0]), number(schema, keys[1]));
    if least.is_some_and(|least| count < least) || most.is_some_and(|most| count > most) {
        let bound = |n: Option<f64>| n.map_or("any".to_owned(), |n| n.to_string());
        out.error(
            at,
            "custom/schema",
            format!("its size is {count}"),
            format!("from {} to {}", bound(least), bound(most)),
        );
    }
}

fn map(schema: &Node, at: &At<'_>, pairs: usize, out: &mut Out) {
    let properties = schema.get("properties");
    let more = schema.get("additionalProperties");
    let open = flag(schema, "x-kubernetes-preserve-unknown-fields") || flag(schema, "x-kubernetes-embedded-resource");
    for (key, value) in at.pairs() {
        let own = properties.and_then(|properties| properties.get(key));
        match own.or(more.filter(|more| matches!(more.value, Value::Map(_)))) {
            Some(schema) => walk(schema, &value, out),
            None if open || more.is_some() => {}
            None => unknown(key, &value, out),
        }
    }
    required(schema, at, out);
    bounds(schema, at, pairs, ["minProperties", "maxProperties"], out);
}

fn list(schema: &Node, at: &At<'_>, items: &[Node], out: &mut Out) {
    if let Some(inner) = schema.get("items") {
        for item in at.items() {
            if item.node.is_some_and(is_null) && !nullable(inner) && inner.get("type").is_some() {
                out.error(&item, "field/type", "an item cannot be null", "take it out, or write a value");
            }
            walk(inner, &item, out);
        }
    }
    bounds(schema, at, items.len(), ["minItems", "maxItems"], out);
    let data = |node: &Node| node.data(Dialect::Kubectl);
    let keys: Vec<&str> = schema
        .get("x-kubernetes-list-map-keys")
        .map(Node::items)
        .unwrap_or_default()
        .iter()
        .filter_map(Node::text)
        .collect();
    let set = schema.get("x-kubernetes-list-type").and_then(Node::text) == Some("set");
    let mut seen: Vec<Vec<Option<Data>>> = Vec::new();
    for (index, item) in items.iter().enumerate().filter(|_| set || !keys.is_empty()) {
        let key = if set { vec![Some(data(item))] } else { keys.iter().map(|key| item.get(key).map(data)).collect() };
        if seen.contains(&key) {
            out.error(&at.item(index, item), "field/duplicate", "an item like it stands before it", "keep one of them");
        }
        seen.push(key);
    }
}

fn scalar(schema: &Node, at: &At<'_>, out: &mut Out) {
    match at.word() {
        Some(Word::Text(text)) => {
            bounds(schema, at, text.chars().count(), ["minLength", "maxLength"], out);
            let pattern = schema.get("pattern").and_then(Node::text);
            if let Some(pattern) = pattern {
                match lib_cel::pattern(pattern) {
                    Ok(regex) if !regex.is_match(text) => {
                        out.error(
                            at,
                            "custom/schema",
                            format!("`{}` does not match {pattern}", at.shown()),
                            "write it as the pattern says",
                        );
                    }
                    Ok(_) => {}
                    Err(_) => out.not_checked.push(format!("{}: the pattern {pattern}", at.path())),
                }
            }
        }
        Some(Word::Number(value)) => {
            let value = value.as_f64().unwrap_or(0.0);
            let (least, most) = (number(schema, "minimum"), number(schema, "maximum"));
            let low = least.is_some_and(|least| value < least || flag(schema, "exclusiveMinimum") && value <= least);
            let high = most.is_some_and(|most| value > most || flag(schema, "exclusiveMaximum") && value >= most);
            if low || high {
                out.error(
                    at,
                    "range/number",
                    format!("{value} is out of the definition's range"),
                    "write a number within it",
                );
            }
            if number(schema, "multipleOf").is_some_and(|of| of > 0.0 && value % of != 0.0) {
                out.error(at, "custom/schema", format!("{value} is no multiple as the definition wants"), "write one");
            }
        }
        _ => {}
    }
}

fn choices(schema: &Node, at: &At<'_>, node: &Node, out: &mut Out) {
    let Some(choices) = schema.get("enum").map(Node::items).filter(|choices| !choices.is_empty()) else { return };
    let value = node.data(Dialect::Kubectl);
    if !choices.iter().any(|choice| choice.data(Dialect::Kubectl) == value) {
        let words: Vec<&str> = choices.iter().filter_map(Node::text).collect();
        out.error(
            at,
            "custom/schema",
            format!("`{}` is not taken here", at.shown()),
            format!("write one of {}", words.join(", ")),
        );
    }
}
