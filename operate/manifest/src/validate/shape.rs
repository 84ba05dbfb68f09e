//! A structural schema as the expressions of its rules see it: which type each place has, and what an object's data are there, defaults put in and
//! names escaped. Judges nothing. <https://kubernetes.io/docs/reference/using-api/cel/#type-system-integration>

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lib_cel::{Keep, Key, List, Type, Value as Cel, duration, timestamp};
use lib_yaml_edit::{Dialect, Node, Value, Word};

use super::at::{is_null, whole};

/// One place of a schema.
#[derive(Debug)]
pub(crate) struct Shape {
    /// What the type of `self` is here; none where expressions cannot see.
    pub(crate) kind: Option<Type>,
    pub(crate) form: Form,
    nullable: bool,
    default: Option<Node>,
    pub(crate) fields: Vec<Field>,
    pub(crate) items: Option<Box<Shape>>,
    pub(crate) values: Option<Box<Shape>>,
    keep: Keep,
    /// The rules that stand here.
    pub(crate) rules: Vec<Node>,
    /// Some stand here or below.
    pub(crate) any_rule: bool,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: Arc<str>,
    /// As expressions write it; none if they cannot.
    pub(crate) escaped: Option<Arc<str>>,
    pub(crate) shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Object,
    List,
    Text,
    Bytes,
    Duration,
    Date,
    DateTime,
    Int,
    Double,
    Bool,
    IntOrText,
    /// Kept as it is, and not to be seen.
    Kept,
}

const RESERVED: &[&str] = &[
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Words that the language reads as something else, also behind a dot.
const KEYWORDS: &[&str] = &["true", "false", "null", "in"];

/// A reserved word by which a property is found beside its escaped name.
fn reserved(name: &str) -> Option<Key> {
    (RESERVED.contains(&name) && !KEYWORDS.contains(&name)).then(|| Key::Text(name.into()))
}

/// A property's name as an expression writes it: `a-b` is `a__dash__b`. None if it cannot be written.
pub(crate) fn escape(name: &str) -> Option<String> {
    if RESERVED.contains(&name) {
        return Some(format!("__{name}__"));
    }
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b)) {
        return None;
    }
    let escaped = name.replace("__", "\u{0}").replace('-', "__dash__").replace('.', "__dot__");
    Some(escaped.replace('/', "__slash__").replace('\u{0}', "__underscores__"))
}

fn flag(schema: &Node, key: &str) -> bool {
    schema.get(key).and_then(|node| node.word(Dialect::Kubectl)) == Some(Word::Bool(true))
}

fn word<'n>(schema: &'n Node, key: &str) -> &'n str {
    schema.get(key).and_then(Node::text).unwrap_or("")
}

impl Shape {
    /// Of a schema; `root` is where a whole object stands: its metadata are seen without being declared.
    pub(crate) fn of(schema: &Node, root: bool) -> Shape {
        let open = flag(schema, "x-kubernetes-preserve-unknown-fields");
        let root = root || flag(schema, "x-kubernetes-embedded-resource");
        let form = if flag(schema, "x-kubernetes-int-or-string") {
            Form::IntOrText
        } else {
            match (word(schema, "type"), word(schema, "format")) {
                ("object", _) => Form::Object,
                ("array", _) => Form::List,
                ("string", "byte") => Form::Bytes,
                ("string", "duration") => Form::Duration,
                ("string", "date") => Form::Date,
                ("string", "date-time") => Form::DateTime,
                ("string", _) => Form::Text,
                ("integer", _) => Form::Int,
                ("number", _) => Form::Double,
                ("boolean", _) => Form::Bool,
                _ if root && !open => Form::Object,
                _ => Form::Kept,
            }
        };
        let mut fields: Vec<Field> = Vec::new();
        for pair in schema.get("properties").map(Node::pairs).unwrap_or_default() {
            fields.push(Field {
                name: Arc::clone(&pair.key),
                escaped: escape(&pair.key).map(Arc::from),
                shape: Shape::of(&pair.node, false),
            });
        }
        if root {
            with_metadata(&mut fields);
        }
        let items = schema.get("items").map(|items| Box::new(Shape::of(items, false)));
        let values = schema
            .get("additionalProperties")
            .filter(|more| matches!(more.value, Value::Map(_)))
            .map(|more| Box::new(Shape::of(more, false)));
        let rules = schema.get("x-kubernetes-validations").map(Node::items).unwrap_or_default().to_vec();
        let below = fields.iter().any(|field| field.shape.any_rule)
            || [&items, &values].into_iter().flatten().any(|shape| shape.any_rule);
        let any_rule = !rules.is_empty() || below;
        let kind = kind(form, &fields, items.as_deref(), values.as_deref());
        Shape {
            kind,
            form,
            nullable: flag(schema, "nullable"),
            default: schema.get("default").cloned(),
            fields,
            items,
            values,
            keep: keep(schema),
            rules,
            any_rule,
        }
    }

    fn text() -> Shape {
        Shape {
            kind: Some(Type::Text),
            form: Form::Text,
            nullable: false,
            default: None,
            fields: Vec::new(),
            items: None,
            values: None,
            keep: Keep::Order,
            rules: Vec::new(),
            any_rule: false,
        }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| &*field.name == name)
    }

    /// The data of this place.
    ///
    /// # Errors
    /// In words, what cannot be read as the schema says it.
    pub(crate) fn value(&self, node: &Node) -> Result<Cel, String> {
        if is_null(node) {
            return Ok(Cel::Null);
        }
        let word = node.word(Dialect::Kubectl);
        let text = match &word {
            Some(Word::Text(text)) => Some(*text),
            _ => None,
        };
        let wrong = || format!("{} is not what the schema says", node.text().unwrap_or("a value"));
        let wanted = |value: Option<Cel>| value.ok_or_else(wrong);
        match self.form {
            Form::Object => self.object(node),
            Form::List => {
                let items = self.items.as_ref().ok_or_else(wrong)?;
                let list: Result<Vec<Cel>, String> = node.items().iter().map(|item| items.value(item)).collect();
                Ok(Cel::List(List { items: Arc::new(list?), keep: self.keep.clone() }))
            }
            Form::Text => wanted(text.map(Cel::from)),
            Form::Bytes => {
                wanted(text.and_then(|text| STANDARD.decode(text).ok()).map(|bytes| Cel::Bytes(bytes.into())))
            }
            Form::Duration => wanted(text.and_then(duration).map(Cel::Duration)),
            Form::Date => wanted(text.and_then(|text| timestamp(&format!("{text}T00:00:00Z"))).map(Cel::Timestamp)),
            Form::DateTime => wanted(text.and_then(timestamp).map(Cel::Timestamp)),
            Form::Int => match word {
                Some(Word::Number(number)) => wanted(whole(&number).map(Cel::Int)),
                _ => Err(wrong()),
            },
            Form::Double => match word {
                Some(Word::Number(number)) => wanted(number.as_f64().map(Cel::Double)),
                _ => Err(wrong()),
            },
            Form::Bool => match word {
                Some(Word::Bool(value)) => Ok(Cel::Bool(value)),
                _ => Err(wrong()),
            },
            Form::IntOrText => match word {
                Some(Word::Text(text)) => Ok(Cel::from(text)),
                Some(Word::Number(number)) => wanted(whole(&number).map(Cel::Int)),
                _ => Err(wrong()),
            },
            Form::Kept => Ok(kept(node)),
        }
    }

    fn object(&self, node: &Node) -> Result<Cel, String> {
        let Value::Map(pairs) = &node.value else {
            return Err(format!("{} is no object", node.text().unwrap_or("a list")));
        };
        let mut out: BTreeMap<Key, Cel> = BTreeMap::new();
        for pair in pairs {
            let (key, shape) = match (self.field(&pair.key), &self.values) {
                (Some(field), _) => (field.key(), Some(&field.shape)),
                (None, Some(values)) => (Key::Text(Arc::clone(&pair.key)), Some(&**values)),
                // Not to be seen, but it counts where two objects are compared.
                (None, None) => (Key::Text(unseen(&pair.key)), None),
            };
            let value = match shape {
                None => kept(&pair.node),
                // Nulls that are not declared are taken out before anything else looks.
                Some(shape) if is_null(&pair.node) && !shape.nullable => continue,
                Some(shape) => shape.value(&pair.node)?,
            };
            if let Some(also) = reserved(&pair.key).filter(|_| self.values.is_none()) {
                out.insert(also, value.clone());
            }
            out.insert(key, value);
        }
        for field in &self.fields {
            if let (Some(default), false) = (&field.shape.default, out.contains_key(&field.key())) {
                let value = field.shape.value(default)?;
                out.insert(field.key(), value);
            }
        }
        Ok(Cel::Map(Arc::new(out)))
    }
}

impl Field {
    /// As it is found in a value.
    pub(crate) fn key(&self) -> Key {
        Key::Text(self.escaped.clone().unwrap_or_else(|| unseen(&self.name)))
    }
}

/// A key that no expression can write.
fn unseen(name: &str) -> Arc<str> {
    format!("\u{0}{name}").into()
}

fn with_metadata(fields: &mut Vec<Field>) {
    let text = |name: &str| Field { name: name.into(), escaped: Some(name.into()), shape: Shape::text() };
    fields.retain(|field| !matches!(&*field.name, "apiVersion" | "kind" | "metadata"));
    let own = vec![text("name"), text("generateName")];
    let kind = kind(Form::Object, &own, None, None);
    let shape = Shape { kind, form: Form::Object, fields: own, ..Shape::text() };
    fields.push(text("apiVersion"));
    fields.push(text("kind"));
    fields.push(Field { name: "metadata".into(), escaped: Some("metadata".into()), shape });
}

fn kind(form: Form, fields: &[Field], items: Option<&Shape>, values: Option<&Shape>) -> Option<Type> {
    Some(match form {
        Form::Object => match values {
            Some(values) => Type::map(Type::Text, values.kind.clone()?),
            None => {
                let seen = fields.iter().filter_map(|field| Some((field, field.shape.kind.clone()?)));
                Type::record(seen.flat_map(|(field, kind)| {
                    let also = reserved(&field.name).map(|_| (Arc::clone(&field.name), kind.clone()));
                    field.escaped.clone().map(|name| (name, kind)).into_iter().chain(also)
                }))
            }
        },
        Form::List => Type::list(items?.kind.clone()?),
        Form::Text => Type::Text,
        Form::Bytes => Type::Bytes,
        Form::Duration => Type::Duration,
        Form::Date | Form::DateTime => Type::Timestamp,
        Form::Int => Type::Int,
        Form::Double => Type::Double,
        Form::Bool => Type::Bool,
        Form::IntOrText => Type::Dyn,
        Form::Kept => return None,
    })
}

fn keep(schema: &Node) -> Keep {
    match word(schema, "x-kubernetes-list-type") {
        "set" => Keep::Set,
        "map" => {
            let keys = schema.get("x-kubernetes-list-map-keys").map(Node::items).unwrap_or_default();
            let keys = keys.iter().filter_map(Node::text);
            Keep::Keys(keys.map(|key| escape(key).unwrap_or_else(|| key.to_owned()).into()).collect())
        }
        _ => Keep::Order,
    }
}

/// What no expression sees: enough to be compared.
fn kept(node: &Node) -> Cel {
    match (&node.value, node.word(Dialect::Kubectl)) {
        (Value::Map(pairs), _) => {
            Cel::Map(Arc::new(pairs.iter().map(|pair| (Key::Text(Arc::clone(&pair.key)), kept(&pair.node))).collect()))
        }
        (Value::List(items), _) => items.iter().map(kept).collect::<Vec<_>>().into(),
        (_, Some(Word::Text(text))) => Cel::from(text),
        (_, Some(Word::Bool(value))) => Cel::Bool(value),
        (_, Some(Word::Number(number))) => {
            whole(&number).map_or_else(|| Cel::Double(number.as_f64().unwrap_or(0.0)), Cel::Int)
        }
        _ => Cel::Null,
    }
}
