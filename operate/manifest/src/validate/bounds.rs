//! How large what a schema allows may be at most, as the API server takes it where it estimates the cost of a rule: by `maxItems`, `maxProperties` and
//! `maxLength`, and without them by what fits into a request (apiserver, `pkg/cel/common/schemas.go`). Judges nothing.

use std::sync::Arc;

use lib_cel::Size;
use lib_yaml_edit::{Dialect, Node, Value, Word};

use super::at::whole;
use super::shape::escape;

/// The largest request that a server takes.
const REQUEST_MAX_BYTES: u64 = 3 * 1024 * 1024;
/// `""`.
const TEXT_MIN_BYTES: u64 = 2;
/// A duration or a time, in quotes.
const TIME_MAX_BYTES: u64 = 32;
const DATE_BYTES: u64 = 12;
const TIME_MIN_BYTES: u64 = 21;
const DURATION_MIN_BYTES: u64 = 3;

/// Of one place of a schema that expressions see.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    elements_max: u64,
    /// Of the shortest JSON that it can be.
    bytes_min: u64,
    /// By their names in expressions.
    fields: Vec<(Arc<str>, Bounds)>,
    is_map: bool,
    element: Option<Box<Bounds>>,
}

fn flag(schema: &Node, key: &str) -> bool {
    schema.get(key).and_then(|node| node.word(Dialect::Kubectl)) == Some(Word::Bool(true))
}

fn count(schema: &Node, key: &str) -> Option<u64> {
    let Word::Number(number) = schema.get(key)?.word(Dialect::Kubectl)? else { return None };
    whole(&number).map(|number| u64::try_from(number).unwrap_or(0))
}

fn word<'n>(schema: &'n Node, key: &str) -> &'n str {
    schema.get(key).and_then(Node::text).unwrap_or("")
}

fn plain(bytes_min: u64) -> Bounds {
    Bounds { bytes_min, ..Bounds::default() }
}

fn text() -> Bounds {
    Bounds { elements_max: REQUEST_MAX_BYTES - 2, bytes_min: TEXT_MIN_BYTES, ..Bounds::default() }
}

/// How often a place below this one may be there, for each time that this one is; none where nothing says.
pub(super) fn times_below(schema: &Node) -> Option<u64> {
    match word(schema, "type") {
        "object" if schema.get("additionalProperties").is_some() => count(schema, "maxProperties"),
        "array" => count(schema, "maxItems"),
        _ => Some(1),
    }
}

impl Bounds {
    /// `root` is where a whole object stands. None where expressions cannot see.
    pub(super) fn of(schema: &Node, root: bool) -> Option<Bounds> {
        let root = root || flag(schema, "x-kubernetes-embedded-resource");
        if flag(schema, "x-kubernetes-int-or-string") {
            let most = count(schema, "maxLength").map_or(REQUEST_MAX_BYTES - 2, |most| most.saturating_mul(4));
            return Some(Bounds { elements_max: most, ..plain(1) });
        }
        let below = |schema: &Node| Bounds::of(schema, false);
        let fits = |bytes: u64| (REQUEST_MAX_BYTES - 2) / bytes;
        Some(match (word(schema, "type"), word(schema, "format")) {
            ("array", _) => {
                let items = below(schema.get("items")?)?;
                let most = count(schema, "maxItems").unwrap_or_else(|| fits(items.bytes_min + 1));
                Bounds { elements_max: most, element: Some(Box::new(items)), ..plain(2) }
            }
            ("object", _) | ("", _) if root || word(schema, "type") == "object" => {
                match schema.get("additionalProperties").filter(|more| matches!(more.value, Value::Map(_))) {
                    Some(more) => {
                        let values = below(more)?;
                        let most = count(schema, "maxProperties").unwrap_or_else(|| fits(values.bytes_min + 6));
                        Bounds { elements_max: most, is_map: true, element: Some(Box::new(values)), ..plain(2) }
                    }
                    None => object(schema, root),
                }
            }
            ("string", "byte") => {
                let most = count(schema, "maxLength").unwrap_or(REQUEST_MAX_BYTES - 2);
                Bounds { elements_max: most, ..plain(TEXT_MIN_BYTES) }
            }
            ("string", "duration") => Bounds { elements_max: TIME_MAX_BYTES, ..plain(DURATION_MIN_BYTES) },
            ("string", "date") => Bounds { elements_max: DATE_BYTES, ..plain(DATE_BYTES) },
            ("string", "date-time") => Bounds { elements_max: TIME_MAX_BYTES, ..plain(TIME_MIN_BYTES) },
            ("string", _) => {
                let choices = schema.get("enum").map(Node::items).unwrap_or_default();
                // A character may be four bytes.
                let said = count(schema, "maxLength").map(|most| most.saturating_mul(4));
                let longest = choices.iter().filter_map(Node::text).map(|one| one.len() as u64).max();
                Bounds { elements_max: said.or(longest).unwrap_or(REQUEST_MAX_BYTES - 2), ..text() }
            }
            ("boolean", _) => plain(4),
            ("integer" | "number", _) => plain(1),
            _ => return None,
        })
    }

    /// Of what stands at a path, whose first name is the variable's.
    pub(super) fn size(&self, path: &[Arc<str>]) -> Option<Size> {
        let mut here = self;
        for name in path.iter().skip(1) {
            here = match &**name {
                "@items" | "@values" => here.element.as_deref()?,
                // Nothing bounds a key, and so the server counts it as nothing.
                "@keys" if here.is_map => return (path.last() == Some(name)).then(|| Size::up_to(0)),
                _ => here.fields.iter().find(|(own, _)| own == name).map(|(_, bounds)| bounds)?,
            };
        }
        Some(Size::up_to(here.elements_max))
    }

    /// How often it could be in a request, where the schema does not say.
    pub(super) fn times_max(&self) -> u64 {
        REQUEST_MAX_BYTES / (self.bytes_min + 1)
    }
}

fn object(schema: &Node, root: bool) -> Bounds {
    let required: Vec<&str> =
        schema.get("required").map(Node::items).unwrap_or_default().iter().filter_map(Node::text).collect();
    let mut all: Vec<(&str, Bounds, bool)> = Vec::new();
    for pair in schema.get("properties").map(Node::pairs).unwrap_or_default() {
        let given = pair.node.get("default").is_some();
        all.extend(Bounds::of(&pair.node, false).map(|bounds| (&*pair.key, bounds, given)));
    }
    if root {
        all.retain(|(name, ..)| !["apiVersion", "kind", "metadata"].contains(name));
        let names = ["name", "generateName"].map(|name| (Arc::from(name), text()));
        let metadata = Bounds { fields: names.into(), ..plain(2) };
        all.extend([("apiVersion", text(), false), ("kind", text(), false), ("metadata", metadata, false)]);
    }
    let mut bounds = plain(2);
    for (name, own, given) in all {
        if required.contains(&name) && !given {
            bounds.bytes_min += name.len() as u64 + own.bytes_min + 4;
        }
        bounds.fields.extend(escape(name).map(|name| (Arc::from(name), own)));
    }
    bounds
}
