//! Fields and types by the schemas: what a server finds while it decodes. Knows no rule of any kind.

use ahash::AHashSet;
use lib_yaml_edit::{Dialect, Node, Value, Word};

use super::at::{At, is_null, whole};
use super::finding::Out;
use super::schema::{Definition, Keys, Schemas, Type};
use crate::format::{base64_bytes, quantity};
use crate::rules::{IMAGES, LOOKS_INTO_PODS};

/// What OpenAPI calls required and servers do without, as `definition field`.
const OPTIONAL: &[(&str, &str)] = &[
    ("apps.v1.StatefulSetSpec", "serviceName"),
    ("apps.v1.ControllerRevision", "revision"),
    ("scheduling.v1.PriorityClass", "value"),
    ("core.v1.HTTPHeader", "value"),
    ("core.v1.Sysctl", "value"),
    ("core.v1.LimitRangeSpec", "limits"),
    ("core.v1.NodeSelectorTerm", "matchExpressions"),
    ("discovery.v1.EndpointSlice", "endpoints"),
    ("storage.v1.CSINodeSpec", "drivers"),
    ("core.v1.Event", "involvedObject"),
    ("core.v1.Event", "metadata"),
    ("events.v1.Event", "eventTime"),
    ("batch.v1.PodFailurePolicy", "rules"),
    ("batch.v1.PodFailurePolicyOnPodConditionsPattern", "status"),
    ("rbac.v1.AggregationRule", "clusterRoleSelectors"),
    ("apiextensions.v1.CustomResourceDefinitionVersion", "served"),
    ("apiextensions.v1.CustomResourceDefinitionVersion", "storage"),
];

/// The same before a minor version that asks for them, as `definition field minor`.
const OPTIONAL_BEFORE: &[(&str, &str, u8)] = &[
    ("rbac.v1.RoleRef", "apiGroup", 36),
    // What is off in a minor is dropped: claims, resizing in place, rules of success, mounts of images.
    ("core.v1.PodResourceClaim", "name", 34),
    ("core.v1.ContainerResizePolicy", "resourceName", 33),
    ("core.v1.ContainerResizePolicy", "restartPolicy", 33),
    ("batch.v1.SuccessPolicy", "rules", 31),
    ("core.v1.VolumeMount", "mountPath", IMAGES),
];

/// The groups whose required fields were compared with what servers do without; elsewhere a missing one is a warning.
const ENFORCED: &[&str] = &[
    "core.",
    "apps.",
    "batch.",
    "networking.",
    "autoscaling.",
    "policy.",
    "rbac.",
    "meta.",
    "apiextensions.",
    "scheduling.",
];

#[derive(Clone, Copy)]
struct Walk<'s> {
    schemas: &'s Schemas,
    minor: u8,
    /// The server decodes what stands here and looks no further: what is missing is a warning.
    unseen: bool,
}

/// Checks an object against its definition.
pub(crate) fn check(schemas: &Schemas, root: &At<'_>, definition: u32, minor: u8, out: &mut Out) {
    Walk { schemas, minor, unseen: false }.value(root, Type::Definition(definition), out);
}

/// Checks the metadata, which all kinds have alike.
pub(crate) fn metadata(schemas: &Schemas, root: &At<'_>, minor: u8, out: &mut Out) {
    if let Some(definition) = schemas.named("meta.v1.ObjectMeta") {
        Walk { schemas, minor, unseen: false }.value(&root.get("metadata"), Type::Definition(definition), out);
    }
}

impl Walk<'_> {
    fn value(&self, at: &At<'_>, kind: Type, out: &mut Out) {
        let Some(node) = at.node else { return };
        // A null is taken for nothing, wherever it stands.
        if kind == Type::Any || is_null(node) {
            return;
        }
        match (&node.value, kind) {
            (Value::Map(_), Type::Definition(number)) => {
                if let Some(definition) = self.schemas.definition(number) {
                    self.definition(at, definition, out);
                }
            }
            (Value::Map(_), Type::Map) => {}
            (Value::Map(_), Type::MapOf(values)) => {
                let values = self.schemas.inner(values);
                for (_, value) in at.pairs() {
                    self.value(&value, values, out);
                }
            }
            (Value::List(items), Type::List { items: kind, keys }) => {
                let kind = self.schemas.inner(kind);
                for (index, item) in items.iter().enumerate() {
                    self.value(&at.item(index, item), kind, out);
                }
                if keys != Keys::None {
                    twins(at, keys, out);
                }
            }
            (Value::Scalar(_), kind) => scalar(at, node, kind, out),
            (_, kind) => wrong(at, node, kind, out),
        }
    }

    fn definition(&self, at: &At<'_>, definition: &Definition, out: &mut Out) {
        for (key, value) in at.pairs() {
            match definition.field(key, self.minor) {
                Some(field) => {
                    let pods = definition.name == "apps.v1.StatefulSetSpec" && key == "template";
                    let unseen = self.unseen || pods && self.minor < LOOKS_INTO_PODS;
                    Walk { unseen, ..*self }.value(&value, field.kind, out);
                }
                None => unknown(&value, key, definition, self.minor, out),
            }
        }
        for field in definition.fields(self.minor).filter(|field| field.required) {
            let server_only = definition.name.ends_with("Status") || definition.name.ends_with("Condition");
            let this = (definition.name, field.name);
            let later =
                OPTIONAL_BEFORE.iter().any(|(name, field, minor)| (*name, *field) == this && self.minor < *minor);
            if !at.get(field.name).is() && !server_only && !later && !OPTIONAL.contains(&this) {
                let what = format!("`{}` is missing", field.name);
                let (place, fix) = (at.get(field.name), format!("add `{}:`", field.name));
                if !self.unseen && ENFORCED.iter().any(|group| definition.name.starts_with(group)) {
                    out.error(&place, "field/required", what, fix);
                } else {
                    out.warn(&place, "field/required", what, fix);
                }
            }
        }
    }
}

fn unknown(value: &At<'_>, key: &str, definition: &Definition, minor: u8, out: &mut Out) {
    let names: Vec<&str> = definition.fields(minor).map(|field| field.name).collect();
    let near = names
        .iter()
        .find(|name| name.eq_ignore_ascii_case(key))
        .or_else(|| names.iter().filter(|name| distance(name, key) <= 2).min_by_key(|name| distance(name, key)));
    let fix = near
        .map_or_else(|| "take it out, or move it to where it belongs".to_owned(), |near| format!("is `{near}` meant?"));
    out.error(value, "field/unknown", format!("there is no field `{key}` here in Kubernetes 1.{minor}"), fix);
}

/// Letters to change, add or leave out.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or(0);
            let here = if x == *y { corner } else { 1 + corner.min(above).min(left) };
            corner = above;
            if let Some(slot) = row.get_mut(j) {
                *slot = left;
            }
            left = here;
        }
        if let Some(last) = row.last_mut() {
            *last = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

fn scalar(at: &At<'_>, node: &Node, kind: Type, out: &mut Out) {
    let word = node.word(Dialect::Kubectl);
    let fits = match (&word, kind) {
        (Some(Word::Text(_)), Type::Text | Type::Time | Type::IntOrText)
        | (Some(Word::Bool(_)), Type::Bool)
        | (Some(Word::Number(_)), Type::Number) => true,
        (Some(Word::Text(text)), Type::Bytes) => return bytes(at, text, out),
        (Some(Word::Number(number)), Type::Int32) => match whole(number) {
            // Server-side apply cuts such a number to its lower 32 bits without a word.
            Some(whole) if i32::try_from(whole).is_err() => {
                return out.warn(
                    at,
                    "range/number",
                    format!("{whole} does not fit into 32 bits"),
                    "write a smaller number",
                );
            }
            whole => whole.is_some(),
        },
        (Some(Word::Number(number)), Type::IntOrText) => {
            whole(number).is_some_and(|whole| i32::try_from(whole).is_ok())
        }
        (Some(Word::Number(number)), Type::Int64) => whole(number).is_some(),
        (Some(Word::Text(_) | Word::Number(_)), Type::Quantity) => {
            if quantity(node.text().unwrap_or("")).is_none() && !matches!(word, Some(Word::Number(_))) {
                let what = format!("`{}` is no quantity", at.shown());
                out.error(at, "format/quantity", what, "write a number with a suffix, as 500m, 2, 128Mi or 1Gi");
            }
            return;
        }
        _ => false,
    };
    if !fits {
        wrong(at, node, kind, out);
    }
}

fn bytes(at: &At<'_>, text: &str, out: &mut Out) {
    if base64_bytes(text).is_none() {
        out.error(at, "field/type", "this is not base64", "encode it (`base64 -w0`), or use `stringData` in a Secret");
    }
}

fn wrong(at: &At<'_>, node: &Node, kind: Type, out: &mut Out) {
    let is = match (&node.value, node.word(Dialect::Kubectl)) {
        (Value::Map(_), _) => "a map".to_owned(),
        (Value::List(_), _) => "a list".to_owned(),
        (_, Some(Word::Bool(value))) => format!("a boolean (`{}` is {value} to kubectl)", at.shown()),
        (_, Some(Word::Number(_))) => format!("the number {}", at.shown()),
        _ => format!("the text `{}`", at.shown()),
    };
    let (wanted, fix) = match kind {
        Type::Text | Type::Time => ("text", "put it in quotes"),
        Type::Bool => ("true or false", "write it without quotes"),
        Type::Int32 => ("a whole number of 32 bits", "write a whole number without quotes"),
        Type::Int64 => ("a whole number", "write a whole number without quotes"),
        Type::Number => ("a number", "write it without quotes"),
        Type::Bytes => ("bytes in base64", "encode it"),
        Type::Quantity => ("a quantity", "write it as 500m, 2 or 128Mi"),
        Type::IntOrText => ("a whole number or text", "write a whole number, or a name"),
        Type::List { .. } => ("a list", "begin each item with `- `"),
        Type::Map | Type::MapOf(_) | Type::Definition(_) | Type::Any => ("a map", "indent its keys below it"),
    };
    out.error(at, "field/type", format!("this is {is}; {wanted} is wanted"), fix);
}

/// Items that are the same in the fields by which the list is merged. A protocol that is not said is TCP.
fn twins(at: &At<'_>, keys: Keys, out: &mut Out) {
    let mut seen: AHashSet<String> = AHashSet::new();
    for item in at.items() {
        let key = match keys {
            Keys::Fields(fields) => {
                let part = |field: &str| {
                    let value = item.get(field);
                    let text = value.node.and_then(Node::text);
                    text.or((field == "protocol").then_some("TCP")).unwrap_or("\0").to_owned()
                };
                fields.split(',').map(part).collect::<Vec<String>>().join("\u{1}")
            }
            _ => item.node.and_then(Node::text).unwrap_or_default().to_owned(),
        };
        if matches!(keys, Keys::Fields(_)) && item.node.is_some_and(is_null) {
            out.error(&item, "field/type", "a null among the items", "take it out");
        }
        if !seen.insert(key) {
            let (what, fix) = match keys {
                Keys::Fields(fields) => (
                    format!("an item with the same {} stands before it", fields.replace(',', " and ")),
                    "keep one of them",
                ),
                _ => ("the same value stands before it".to_owned(), "take it out"),
            };
            out.error(&item, "field/duplicate", what, fix);
        }
    }
}
